#!/bin/bash
# `ww up` with two providers in a market: the one in use is killed with -9, and the tunnel goes on by the
# other; both are, and nothing is on the client's wire but its own packets; then one is back. All the time a
# flood of everything that could leak goes on, and the router counts what the wire carries.
#
#   arbiter 11.0.1.2   one 11.0.2.2   two 11.0.3.2   web 11.0.4.2   client 11.0.5.2
#        └──────────────────┴─── router ───┴──────────────┴──────────────┘
set -euo pipefail
. "$(dirname "$0")/net.sh"
web4=11.0.4.2 web6=2a00:11:0:4::2

watch_the_wire() {
    nft -f - << 'END'
table inet wire {
    counter own {
    }
    counter rest {
    }
    chain prerouting {
        type filter hook prerouting priority filter;
        iifname != "to-client" accept
        ip daddr 11.0.1.2 tcp dport 8443 counter name own accept
        ip daddr { 11.0.2.2, 11.0.3.2, 10.119.0.1 } meta l4proto udp counter name own accept
        ip6 daddr { 2a00:11:0:2::2, 2a00:11:0:3::2, fd77:7700:119::1 } meta l4proto udp counter name own accept
        icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld2-listener-report } accept
        counter name rest log prefix "leak "
    }
}
END
}

counted() {
    nft -j list counter inet wire "$1" | jq '.nftables[] | .counter? // empty | .packets'
}

no_leak() {
    [[ $(counted rest) == 0 ]] || fail "$1: $(counted rest) packets beside the tunnel"
    step "$1: nothing on the wire but $(counted own) packets to the arbiter and to providers"
}

up() {
    on client timeout 90 "$program" up --json --key "$scratch/keys/client/key" --arbiter "$join_line" \
        --state "$scratch/client" --dns-upstreams "$web4:53" --wait 60 "$@" > "$scratch/up.out" 2> "$scratch/up.log" ||
        fail "ww up: $(cat "$scratch/up.out" "$scratch/client/client.log")"
    pid[client]=$(jq .pid "$scratch/up.out")
}

node_of() {
    status "$1" | jq -r .node
}

# in_use PROVIDER…: the one of them that carries what is sent.
in_use() {
    local name peers
    peers=$(status client | jq -r '.connections[] | select(.ready and any(.contracts[]; .state == "current")) | .peer')
    for name in "$@"; do
        [[ $peers != *$(node_of "$name")* ]] || echo "$name"
    done
}

answers() { # ADDRESS
    on client ping -n -c 1 -W 1 "$1" > "$scratch/ping.out" 2>&1
}

asks_tcp() {
    on client "$tools/system_exit_peer" tcp "$1" 7000 2 100000 2> /dev/null
}

# A connection and a flow of echoes, which begin before the provider is killed.
start_ping() {
    nsenter --net=/run/netns/client ping -n -i 0.1 -W 1 $web4 > "$scratch/flow.out" &
    flow=$!
}

received() {
    grep -c 'bytes from' "$scratch/flow.out" || true
}

goes_on() { # SINCE
    (($(received) > $1 + 5))
}

# Counts differ where a side was killed: what is in doubt is the arbiter's to decide, and it is decided.
all_are_closed() {
    [[ $(status arbiter | jq .contracts_open) == 0 ]] &&
        status client | jq -e 'all(.history[]; .state == "settled" or .state == "void")'
}

machine arbiter 1
machine one 2
machine two 3
machine web 4
machine client 5
on client bash -c 'echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter'
watch_the_wire
nsenter --net=/run/netns/web "$tools/system_exit_peer" serve 7000 $web4 $web6 > "$scratch/peer.log" 2>&1 &
# A provider that lost its counts with its life is bought from again when the arbiter has judged.
start_arbiter_on --disputes-run-s 2
ln -s client/client.log "$scratch/client.log"
for name in one two client; do
    join_on $name
done
start_provider_on one
start_provider_on two
cp /etc/resolv.conf /run/resolv.conf 2> /dev/null || echo "nameserver $web4" > /run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf
wait_for 5 "the wire's own address" eval '! ip -n client addr | has tentative'
up
nft reset counters > /dev/null
nsenter --net=/run/netns/client "$tools/system_tun" flood eth0 "$web4" "$web6" 100 > "$scratch/flood.out" &
flood=$!
asks_tcp $web4 || fail "TCP"
first=$(in_use one two)
[[ $first == one || $first == two ]] || fail "in use: $first"
other=two
[[ $first == one ]] || other=one
start_ping
sleep 1

before=$(received)
began_ms=$(now_ms)
node_kill "$first"
wait_for 40 "a new flow" answers $web4
new_ms=$(($(now_ms) - began_ms))
wait_for 10 "the old flow" goes_on "$before"
asks_tcp $web4 || fail "TCP by $other"
asks_tcp $web6 || fail "TCP by $other, IPv6"
step "$first is killed: a new flow by $other after $new_ms ms, the old one goes on after $(($(now_ms) - began_ms)) ms"
((new_ms < 6000)) || fail "failover took $new_ms ms"
no_leak "failover"

node_kill "$other"
sleep 3
! answers $web4 || fail "an answer without a provider"
no_leak "no provider"
before=$(received)
start_provider_on "$first"
wait_for 60 "a new flow by $first" answers $web4
wait_for 10 "the old flow" goes_on "$before"
asks_tcp $web4 || fail "TCP by $first, again"
step "$first is back"
no_leak "back"
start_provider_on "$other"

kill -TERM $flood $flow
wait $flood $flow || true
step "sent meanwhile: $(cat "$scratch/flood.out")"
call client contracts.end > /dev/null || fail "contracts.end"
wait_for 60 "the end of all contracts" all_are_closed
check_books
on client timeout 60 "$program" down --json --state "$scratch/client" > "$scratch/down.out" 2>&1 ||
    fail "ww down: $(cat "$scratch/down.out")"
unset "pid[client]"
answers $web4 || fail "nothing gets out after down"
step "all held"
