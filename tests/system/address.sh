#!/usr/bin/env bash
# What only this host knows, on a host that is made up: own addresses, neighbours and gateways of
# both families, in every routing table, as `ww address --local` judges them. Skipped where network
# namespaces are not allowed.
set -eu
program=${SYSTEM_PROGRAM:?the path of ww}
if [ -z "${ADDRESS_INSIDE:-}" ]; then
    user=()
    [ "$(id -u)" = 0 ] || user=(--user --map-root-user)
    if ! unshare "${user[@]}" --net ip link add probe type veth peer name other 2> /dev/null; then
        echo "network namespaces are not allowed here"
        exit 77
    fi
    ADDRESS_INSIDE=1 exec timeout -k 2 60 unshare "${user[@]}" --net bash "$0"
fi

ip link set lo up
ip link add d0 type veth peer name d1
echo 0 > /proc/sys/net/ipv6/conf/d0/accept_dad 2> /dev/null || true
ip link set d0 up
ip link set d1 up
ip addr add 5.1.1.1/24 brd + dev d0
ip addr add 2a00:1::1/64 dev d0 nodad
# Neighbours and gateways that no interface's prefix covers.
ip route add 7.7.7.7 dev d0
ip route add default via 7.7.7.7 dev d0
ip route add 8.1.0.0/24 dev d0 table 100
ip route add 9.0.0.0/8 nexthop via 8.2.0.1 dev d0 onlink nexthop via 8.2.0.2 dev d0 onlink
ip route add 11.0.0.0/24 via inet6 2a00:4::1 dev d0 onlink
ip -6 route add 2a00:2::/64 dev d0
ip -6 route add default via 2a00:3::1 dev d0 onlink
ip -6 route add 2a00:b::/64 dev d0 table 100
# Any address of these is this host's (AnyIP).
ip route add local 8.3.0.0/24 dev lo
ip -6 route add local 2a00:a::/64 dev lo
# What is routed nowhere, into a tunnel, or to a transparent proxy is no neighbour.
ip route add blackhole 8.4.0.0/24
ip route add 0.0.0.0/1 dev d0 table 101
ip -6 route add 2000::/3 dev d0 table 101
ip route add local 0.0.0.0/0 dev lo table 102
ip -6 route add local ::/0 dev lo table 102

expected='5.1.1.1 deny address of this host
5.1.1.200 deny on-link prefix of this host
5.1.1.255 deny on-link prefix of this host
5.1.2.0 allow public
7.7.7.7 deny gateway of this host
8.1.0.9 deny on-link prefix of this host
8.2.0.1 deny gateway of this host
8.2.0.2 deny gateway of this host
8.2.0.3 allow public
8.3.0.77 deny address of this host
8.3.1.0 allow public
8.4.0.1 allow public
8.8.8.8 allow public
9.0.0.1 allow public
11.0.0.1 allow public
168.63.129.16 deny metadata service 168.63.129.16
2a00:1::1 deny address of this host
2a00:1::99 deny on-link prefix of this host
2a00:2::99 deny on-link prefix of this host
2a00:3::1 deny gateway of this host
2a00:3::2 allow public
2a00:4::1 deny gateway of this host
2a00:a::5 deny address of this host
2a00:b::5 deny on-link prefix of this host
2a00:c::5efe:5.1.1.1 deny address of this host
2a00:c::5efe:8.8.8.8 allow public
2606:4700::1 allow public
127.0.0.1 deny loopback 127.0.0.0/8'
if ! diff -u <(echo "$expected") <(echo "$expected" | cut -d' ' -f1 | "$program" address --local -); then
    ip route show table all
    ip -6 route show table all
    exit 1
fi
# Nobody here knows them without --local.
[ "$("$program" address 5.1.1.1 2a00:3::1 | grep -c ' allow public$')" = 2 ]
