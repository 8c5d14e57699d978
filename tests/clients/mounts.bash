# mounts.bash DIR BWRAP_AT COMMAND...: in this mount namespace, takes the accounts from
# DIR/passwd and DIR/group if they are there, mounts DIR/bin/bwrap at BWRAP_AT unless that
# is `-`, then becomes the command.
dir=$1 bwrap_at=$2
shift 2
for name in passwd group; do
    [ ! -e "$dir/$name" ] || mount --bind "$dir/$name" "/etc/$name" || exit 1
done
[ "$bwrap_at" = - ] || mount --bind "$dir/bin/bwrap" "$bwrap_at" || exit 1
# In a user namespace the capabilities to mount came by the ambient set.
exec setpriv --inh-caps=-all --ambient-caps=-all "$@"
