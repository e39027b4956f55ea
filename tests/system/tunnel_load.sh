#!/bin/bash
# A tunnel under load, in network namespaces: 500 flows at once as a browser makes them, in each family;
# floods by UDP both ways; and another address of the client's while 20 connections by TCP are in use.
# Nothing is left unanswered, no connection breaks, counts are equal to the byte. tunnel_load.sh [soak MINUTES]
# does that again and again instead, and memory and descriptors of both ends stay what they were.
#
#   arbiter 11.0.1.2   provider 11.0.2.2   web 11.0.3.2 to .41   client 11.0.4.2, then 11.0.5.2 …
#        └──────────────────┴─── router ───┴───────────────────────┘
set -euo pipefail
. "$(dirname "$0")/net.sh"
web4=11.0.3.2 web6=2a00:11:0:3::2
home=4

start_servers() {
    local last addresses=($web4 $web6)
    for ((last = 3; last <= 41; last++)); do
        addresses+=("11.0.3.$last" "$(printf '2a00:11:0:3::%x' $last)")
        ip -n web address add "11.0.3.$last/24" dev eth0
        ip -n web address add "${addresses[-1]}/64" dev eth0 nodad
    done
    on web "$tools/system_exit_peer" serve 7000 "${addresses[@]}" > "$scratch/peer.log" 2>&1 &
    on web dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --no-ping --user=root \
        --pid-file= --local=/example/ --interface=eth0 --bind-interfaces --cache-size=0 \
        --dns-forward-max=1000 --host-record="web.example,$web4,$web6" > "$scratch/dnsmasq.log" 2>&1 &
    on web iperf3 -s > "$scratch/iperf.log" 2>&1 &
    wait_for 5 "the servers' start" grep -q ready "$scratch/peer.log"
}

start_all_on() {
    machine arbiter 1
    machine provider 2
    machine web 3
    machine client $home
    start_servers
    start_nodes_on 11.0.3.0/24 2a00:11:0:3::/64
    step "arbiter, provider, client and a host are ready"
}

burst() {
    local address
    for address in $web4 $web6; do
        on client "$tools/system_mix" burst $address 7000 500 40 > "$scratch/burst.out" ||
            fail "500 flows at once: $(status client | jq -c .tunnel) $(status provider | jq -c .packets)"
        step "500 flows to 40 addresses as $address: $(cat "$scratch/burst.out") ms"
        # What may be opened at once comes back at 256 a second.
        sleep 2
    done
}

# A path that loses nothing gets records of several datagrams.
widen() {
    on client timeout 30 iperf3 -J --connect-timeout 5000 -c $web4 -t 2 -b 100M > "$scratch/iperf.json" ||
        fail "TCP: $(jq -r .error "$scratch/iperf.json")"
    status client | jq -e '.connections[0].path | .record > 8000 and .record > 5 * .mtu' > /dev/null ||
        fail "records are narrow: $(status client | jq -c '.connections[0].path')"
    step "records have up to $(status client | jq '.connections[0].path.record') bytes"
}

flood() {
    local seconds=$1 way
    for way in '' -R; do
        # shellcheck disable=SC2086
        on client timeout $((seconds + 20)) iperf3 -J --connect-timeout 5000 -c $web4 -t "$seconds" -u -b 0 -l 1300 $way \
            > "$scratch/iperf.json" || fail "a flood: $(jq -r .error "$scratch/iperf.json")"
        step "a flood by UDP $way: $(jq -r '.end.sum | "\(.bytes) bytes, \(.lost_percent | floor) % lost"' "$scratch/iperf.json")"
    done
}

moves() {
    status client | jq '[.connections[].path.changes] | add // 0'
}

is_back() { # CHANGES
    status client | jq -e "[.connections[].path | select(.lost_ms == 0 and (.changing | not)) | .changes] | add > $1"
}

# Another network: the old address is gone at once.
roam() {
    local before=$home changes connected holder
    # By another connection's number, if it is made anew.
    changes=$(moves)
    connected=$(grep -c 'connected to a provider' "$scratch/client.log")
    nsenter --net=/run/netns/client "$tools/system_mix" hold $web4 7000 20 > "$scratch/hold.out" 2> "$scratch/hold.log" &
    holder=$!
    wait_for 10 "20 connections" grep -q ready "$scratch/hold.out"
    sleep 1
    home=$((home == 200 ? 5 : home + 1))
    ip address add "11.0.$home.1/24" dev to-client
    ip address add "2a00:11:0:$home::1/64" dev to-client nodad
    ip -n client address add "11.0.$home.2/24" dev eth0
    ip -n client address add "2a00:11:0:$home::2/64" dev eth0 nodad
    ip -n client address del "11.0.$before.2/24" dev eth0
    ip -n client address del "2a00:11:0:$before::2/64" dev eth0
    ip -n client route replace default via "11.0.$home.1"
    ip -n client route replace default via "2a00:11:0:$home::1"
    wait_for 30 "the other path" is_back "$changes"
    sleep 4 # TCP's timers have to notice, too
    kill -TERM $holder
    wait $holder || fail "20 connections: $(cat "$scratch/hold.log")"
    (($(grep -c 'connected to a provider' "$scratch/client.log") == connected)) || fail "the connection was made anew"
    ip address del "11.0.$before.1/24" dev to-client
    ip address del "2a00:11:0:$before::1/64" dev to-client
    step "another address under 20 connections: one waited $(tail -n 1 "$scratch/hold.out") ms at most"
}

# What may be remembered is bounded: at the egress, and in the tables of flows.
check_bounds() {
    status provider | jq -e '.packets | .flows <= 2048 and .destinations <= 1024 and .waiting == 0' > /dev/null ||
        fail "the egress: $(status provider | jq -c .packets)"
    status client | jq -e '.tunnel.waiting == 0' > /dev/null || fail "$(status client | jq -c .tunnel)"
}

descriptors() {
    find "/proc/${pid[$1]}/fd" -mindepth 1 | wc -l
}

# soak MINUTES: the first round is not counted, as tables and caches fill.
soak() {
    local until=$((SECONDS + $1 * 60)) round=0 name
    declare -A rss=() fds=()
    while ((SECONDS < until)); do
        burst
        flood 5
        roam
        check_bounds
        round=$((round + 1))
        for name in client provider; do
            step "round $round: $name has $(rss_kib $name) KiB and $(descriptors $name) descriptors"
            if ((round == 2)); then
                rss[$name]=$(rss_kib $name) fds[$name]=$(descriptors $name)
            elif ((round > 2)); then
                (($(rss_kib $name) < rss[$name] * 5 / 4 + 4096)) || fail "$name grows"
                (($(descriptors $name) <= fds[$name] + 8)) || fail "$name has more descriptors"
            fi
        done
    done
}

start_all_on
if [[ ${1:-} == soak ]]; then
    soak "$2"
else
    burst
    widen
    flood 2
    roam
    check_bounds
fi
check_end
