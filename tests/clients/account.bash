# account.bash DIR COMMAND...: gives this mount namespace the accounts in DIR/passwd and
# DIR/group, then becomes the command.
mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group || exit 1
shift
exec "$@"
