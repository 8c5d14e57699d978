# mounts.bash DIR BWRAP_AT OWN_TMP COMMAND...: in this mount namespace, takes the accounts
# from DIR/passwd and DIR/group if they are there, mounts DIR/bin/bwrap at BWRAP_AT unless
# that is `-`, and DIR/tmp at /tmp with DIR in it if OWN_TMP is `yes`, then becomes the command.
dir=$1 bwrap_at=$2 own_tmp=$3
shift 3
for name in passwd group; do
    [ ! -e "$dir/$name" ] || mount --bind "$dir/$name" "/etc/$name" || exit 1
done
if [ "$own_tmp" = yes ]; then
    mkdir "$dir/tmp/${dir##*/}" && mount --bind "$dir" "$dir/tmp/${dir##*/}" &&
        mount --rbind "$dir/tmp" /tmp || exit 1
fi
[ "$bwrap_at" = - ] || mount --bind "$dir/bin/bwrap" "$bwrap_at" || exit 1
# In a user namespace the capabilities to mount came by the ambient set.
exec setpriv --inh-caps=-all --ambient-caps=-all "$@"
