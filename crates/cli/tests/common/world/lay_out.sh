#!/bin/sh
# The two sides of a test's network, joined by one link. Runs in network and mount namespaces of its
# own, which are the host's side; they and the internet's last until standard input ends. That and
# standard output are those of the internet's servers; the host's have DIRECTORY/host.in and host.out.
#
# usage: sh lay_out.sh DIRECTORY
set -eu
dir=$1
mount --make-rprivate /
mount --bind "$dir/resolv.conf" /etc/resolv.conf
mount --bind "$dir/hosts" /etc/hosts
ip link set lo up
# Pings by whoever is here; where it cannot be said, tests of them are left out.
id -g | sed 's/.*/& &/' >/proc/sys/net/ipv4/ping_group_range || true
# As root the ordinary user is another one.
echo '0 65535' 2>/dev/null >/proc/sys/net/ipv4/ping_group_range || true

# sshd wants a directory in /run. What is started there ends with the first process.
exec 3<&0
# shellcheck disable=SC2016 # for the inner shell
unshare --net --mount --pid --fork --kill-child sh -c '
    mount -t tmpfs none /run && mkdir -m 755 /run/sshd
    exec python3 "$0/internet.py" internet "$0"
' "$dir" <&3 &
internet=$!
own=$(readlink /proc/self/ns/net)
while [ "$(readlink "/proc/$internet/ns/net")" = "$own" ]; do sleep 0.01; done

ip link add uplink type veth peer name downlink netns "$internet"
ip addr add 93.184.0.2/30 dev uplink
ip addr add 10.0.0.2/32 dev uplink
ip addr add 2600:1f00::2/126 dev uplink nodad
ip link set uplink up
ip route add default via 93.184.0.1
ip -6 route add default via 2600:1f00::1 dev uplink
# Every address but the link's is the internet's own.
nsenter -t "$internet" --net sh -c '
    set -e
    ip link set lo up
    ip addr add 93.184.0.1/30 dev downlink
    ip addr add 2600:1f00::1/126 dev downlink nodad
    ip link set downlink up
    ip route add local default dev lo table main
    ip -6 route add local default dev lo table main
'
mkfifo "$dir/host.in" "$dir/host.out"
python3 "$dir/internet.py" host "$dir" <"$dir/host.in" >"$dir/host.out" 2>"$dir/host.err" &
echo "laid out"
wait
