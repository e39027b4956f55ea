#!/bin/bash
# The tunnel with two packet workers at each end, in network namespaces: TCP and UDP both ways, small packets and
# floods, another address of the client while connections are in use, HUP, and a client that comes back and is
# killed with -9 while packets move. Connections are carried by workers, counts are equal to the byte, contracts
# settle.
#
#   arbiter 11.0.1.2   provider 11.0.2.2   web 11.0.3.2   client 11.0.4.2, then 11.0.5.2
#        └──────────────────┴─── router ───┴──────────────────┘
set -euo pipefail
. "$(dirname "$0")/net.sh"
web4=11.0.3.2 web6=2a00:11:0:3::2

start_all_on() {
    machine arbiter 1
    machine provider 2
    machine web 3
    machine client 4
    on web "$tools/system_exit_peer" serve 7000 $web4 $web6 > "$scratch/peer.log" 2>&1 &
    on web iperf3 -s > "$scratch/iperf.log" 2>&1 &
    start_arbiter_on
    join_on provider
    join_on client
    start_provider_on provider --egress-workers 2
    start_client_on client --tunnel-workers 2
    open_tunnel client $web4 $web6
    step "arbiter, provider, client and a host are ready"
}

# Those that do the work have names, and the priority of the thread that they work for.
check_threads() { # NAME
    local task count=0 main
    main=$(cut -d ' ' -f 19 "/proc/${pid[$1]}/stat")
    for task in /proc/"${pid[$1]}"/task/*; do
        [[ $(cat "$task/comm") == ww-packets-[12] ]] || continue
        count=$((count + 1))
        # The name in front may have spaces, but these don't.
        [[ $(cut -d ' ' -f 19 "$task/stat") == "$main" ]] || return 1
    done
    ((count == 2))
}

is_lent() { # NAME
    status "$1" | jq -e '.workers == 2 and (.connections | length > 0 and all(.path.worker >= 1 and .path.worker <= 2))'
}

iperf() { # FLAGS…
    on client timeout 20 iperf3 -J --connect-timeout 5000 "$@" > "$scratch/iperf.json" ||
        fail "iperf3 $*: $(jq -r .error "$scratch/iperf.json")"
    step "iperf3 $*: $(jq -c '.end | (.sum_received // .sum) | {bytes, lost_percent}' "$scratch/iperf.json")"
    jq -e '.end | (.sum_received.bytes // .sum.bytes) > 0' "$scratch/iperf.json" > /dev/null || fail "nothing came"
}

carry() {
    on client ping -n -c 3 -i 0.2 -W 2 $web4 > "$scratch/ping.log" || fail "$(cat "$scratch/ping.log")"
    iperf -c $web4 -t 1
    iperf -c $web6 -t 1 -R -P 4
    iperf -c $web4 -t 1 -u -b 0 -l 1300
    iperf -c $web4 -t 1 -u -b 0 -l 1300 -R
    iperf -c $web4 -t 1 -u -b 0 -l 64
    is_lent client > /dev/null || fail "nobody carries it: $(status client | jq -c '.workers, .connections[].path')"
    is_lent provider > /dev/null || fail "nobody carries it: $(status provider | jq -c '.workers, .connections[].path')"
}

is_back() {
    status client | jq -e '.connections[0].path | .lost_ms == 0 and .changes > 0'
}

roam() {
    local holder
    nsenter --net=/run/netns/client "$tools/system_mix" hold $web4 7000 10 > "$scratch/hold.out" 2> "$scratch/hold.log" &
    holder=$!
    wait_for 10 "10 connections" grep -q ready "$scratch/hold.out"
    sleep 0.5
    ip address add 11.0.5.1/24 dev to-client
    ip -n client address add 11.0.5.2/24 dev eth0
    ip -n client address del 11.0.4.2/24 dev eth0
    ip -n client address del 2a00:11:0:4::2/64 dev eth0
    ip -n client route replace default via 11.0.5.1
    wait_for 30 "the other path" is_back
    wait_for 10 "a worker for the other path" is_lent client
    wait_for 10 "a worker for the other path" is_lent provider
    kill -TERM $holder
    wait $holder || fail "10 connections: $(cat "$scratch/hold.log")"
    step "another address under 10 connections: one waited $(tail -n 1 "$scratch/hold.out") ms at most"
}

start_all_on
wait_for 5 "the client's workers" check_threads client
wait_for 5 "the provider's workers" check_threads provider
carry
kill -HUP "${pid[client]}" "${pid[provider]}"
roam
check_client client provider
check_books
node_stop client
start_client_on client --tunnel-workers 2
open_tunnel client $web4
on client iperf3 --connect-timeout 5000 -c $web4 -t 5 -R > "$scratch/iperf.out" 2>&1 &
wait_for 10 "a worker for the new connection" is_lent provider
sleep 0.5
node_kill client
sleep 0.2
is_alive provider || fail "the provider ends with its client"
node_kill provider
node_stop arbiter
check_books_offline
step "all held"
