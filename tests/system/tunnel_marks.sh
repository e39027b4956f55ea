#!/bin/bash
# Marks of congestion through the tunnel, in network namespaces. The router between client and provider
# marks each 20th datagram of theirs that can be marked: a TCP connection in the tunnel hears of it at its
# end, and so does what goes through the proxy; nothing is lost by it that can't be marked. Then the line
# takes marks away, and loses what has one: all goes on, without marks.
#
#   arbiter 11.0.1.2   provider 11.0.2.2   web 11.0.3.2   client 11.0.4.2
#        └──────────────────┴──── router ─────┴──────────────┘
set -euo pipefail
. "$(dirname "$0")/net.sh"
web=11.0.3.2

# line RULE…: what the router does to datagrams between client and provider, one way and the other.
line() {
    nft flush chain ip line there
    nft add rule ip line there udp sport != 0 ip saddr "{ 11.0.2.2, 11.0.4.2 }" ip daddr "{ 11.0.2.2, 11.0.4.2 }" "$@"
}

# count NAME COUNTER: one of the kernel's, in a machine.
count() { on "$1" nstat -asz "$2" | awk -v name="$2" '$1 == name { print $2 }'; }

path() { status "$1" | jq "[.connections[].path$2] | last"; }
marks_are() { # STATE NAME…
    local name
    for name in "${@:2}"; do
        [[ $(path "$name" .marks) == "\"$1\"" ]] || return 1
    done
}

# transfer SECONDS FLAGS…: through the tunnel; Mbit/s that came.
transfer() {
    on client timeout 60 iperf3 -J --connect-timeout 20000 -c $web -p 5201 -t "$@" > "$scratch/iperf.json" ||
        fail "a transfer: $(jq -r .error "$scratch/iperf.json")"
    jq '.end.sum_received.bits_per_second / 1e6 | floor' "$scratch/iperf.json"
}

# through_tunnel FROM TO FLAGS…: a connection that knows ECN; its sender hears of marks.
through_tunnel() {
    local before now came heard
    before=$(($(count "$1" TcpExtTCPDeliveredCE)))
    came=$(($(count "$2" IpExtInCEPkts)))
    now=$(transfer 1 "${@:3}")
    heard=$(($(count "$1" TcpExtTCPDeliveredCE) - before)) came=$(($(count "$2" IpExtInCEPkts) - came))
    step "from $1: $now Mbit/s, $came packets came marked, its sender heard of $heard"
    ((came > 0 && heard > 0)) || fail "no marks came through: $(path client ''), $(path provider '')"
}

echoes() {
    on client ping -n -q -c 200 -i 0.005 -W 2 "$@" $web > "$scratch/ping.out" || fail "ping $*: $(cat "$scratch/ping.out")"
    grep -q ' 0% packet loss' "$scratch/ping.out" || fail "ping $*: $(cat "$scratch/ping.out")"
}

# Through the proxy, 8 MB down.
through_proxy() {
    on client curl -sSf --max-time 60 -x socks5h://127.0.0.1:1080 -o "$scratch/down" "http://$web:8080/down?bytes=8000000&seed=$1" ||
        fail "a download through the proxy"
    (($(stat -c %s "$scratch/down") == 8000000)) || fail "not all came through the proxy"
}

machine arbiter 1
machine provider 2
machine web 3
machine client 4
nft -f - << 'TABLE'
add table ip line
add chain ip line there { type filter hook prerouting priority -300; }
TABLE
for name in client web; do
    on "$name" sh -c 'echo 1 > /proc/sys/net/ipv4/tcp_ecn'
done
on web iperf3 -s -p 5201 > "$scratch/iperf.log" 2>&1 &
on web "$program" demo-origin --listen $web:8080 --announce "$scratch/web.port" 2> "$scratch/web.log" &
start_nodes_on $web
wait_for 20 "a way through" on client ping -n -c 1 -W 1 $web
wait_for 20 "marks" marks_are on client provider
step "client and provider are connected, and their path carries marks"

line ip ecn != not-ect numgen inc mod 20 0 ip ecn set ce
through_tunnel client web
through_tunnel web client -R
through_proxy 1
(($(path provider .packets_marked) > 0)) || fail "the reliable class hears nothing of marks: $(path provider '')"
(($(path client .marked_received) > 20 && $(path provider .marked_received) > 20)) ||
    fail "too few records came marked: $(path client ''), $(path provider '')"
step "the proxy's data went slower $(path provider .packets_marked) times, $(path provider .packets_lost) of $(path provider .packets_sent) packets were lost"
marks_are on client provider || fail "marks end: $(path client ''), $(path provider '')"

line ip ecn != not-ect ip ecn set ce
echoes
echoes -Q 2
wait_for 5 "echoes as they are" marks_are on client provider
for name in client provider; do
    (($(path $name .marked_dropped) == 0)) || fail "$name lost packets that can't be marked"
done
step "what can't be marked isn't, and isn't lost"

line ip ecn set not-ect
transfer 1 > "$scratch/rate"
transfer 1 -R >> "$scratch/rate"
through_proxy 2
wait_for 10 "the end of marks" marks_are failed client provider
step "the line takes marks away: $(tr '\n' ' ' < "$scratch/rate")Mbit/s up and down"

# Another path, which carries marks at first, and then loses what has one.
nft flush chain ip line there
node_stop client
start_client_on client
open_tunnel client $web
wait_for 20 "a way through" on client ping -n -c 1 -W 1 $web
wait_for 20 "marks" marks_are on client provider
line ip ecn != not-ect drop
began_ms=$(now_ms)
through_proxy 3
downs_ms=$(($(now_ms) - began_ms))
transfer 3 > "$scratch/rate"
wait_for 10 "the end of marks" marks_are failed client provider
step "the line loses what is marked: $(cat "$scratch/rate") Mbit/s up, $downs_ms ms for 8 MB through the proxy"
echoes -Q 2

# The provider has counted for the client before, too, and the proxy's bytes went by no device.
beside=30000000 shared=true
check_end
