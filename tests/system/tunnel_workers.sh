#!/bin/bash
# The tunnel with two packet workers at each end, in network namespaces: TCP and UDP both ways, small packets and
# floods by two clients at once, another address of one of them while connections are in use, HUP, a device that is
# taken away while packets move, and a client that is killed with -9 then. Connections are carried by workers, the
# queues of the devices carry what is theirs, counts are equal to the byte, contracts settle.
#
#   arbiter 11.0.1.2   provider 11.0.2.2   web 11.0.3.2   client 11.0.4.2, then 11.0.5.2   other 11.0.6.2
#        └──────────────────┴─── router ───┴──────────────────┴────────────────────────────────┘
set -euo pipefail
. "$(dirname "$0")/net.sh"
web4=11.0.3.2 web6=2a00:11:0:3::2

start_all_on() {
    machine arbiter 1
    machine provider 2
    machine web 3
    machine client 4
    machine other 6
    on web "$tools/system_exit_peer" serve 7000 $web4 $web6 > "$scratch/peer.log" 2>&1 &
    on web iperf3 -s > "$scratch/iperf.log" 2>&1 &
    on web iperf3 -s -p 5202 > "$scratch/iperf2.log" 2>&1 &
    start_arbiter_on
    join_on provider
    join_on client
    join_on other
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

# QUERY of `.` = the queues of a client's device, or of a provider's, and $worker = that of its first connection.
queues() { # NAME QUERY
    status "$1" | jq -e '.connections[0].path.worker as $worker | (.tunnel // .packets).queues | length == 2 and '"($2)"
}

# Two clients, so two connections, each of which has a worker and a queue at the provider of its own. At a client the
# one connection's worker writes, and so reads nearly all.
check_queues() {
    local first
    start_client_on other --tunnel-workers 2
    open_tunnel other $web4
    on other ping -n -c 1 -W 5 $web4 > "$scratch/ping.log" || fail "$(cat "$scratch/ping.log")"
    wait_for 10 "a worker for each" each_has_its_own
    on other timeout 20 iperf3 -c $web4 -p 5202 -t 1 > "$scratch/iperf.other" 2>&1 &
    first=$!
    iperf -c $web4 -t 1
    wait $first || fail "the other client's iperf3: $(cat "$scratch/iperf.other")"
    iperf -c $web4 -t 1 -R
    queues provider 'all(.packets_read > 100 and .packets_written > 100)' > /dev/null ||
        fail "queues of the provider: $(status provider | jq -c '.packets.queues')"
    queues client '(map(select(.worker == $worker))[0]) as $its | (map(.packets_written) | add) as $written
        | (map(.packets_read) | add) as $read
        | $its.packets_written > $written * 0.9 and $its.packets_read > $read * 0.9 and $read > 1000' > /dev/null ||
        fail "queues of the client: $(status client | jq -c '[.connections[].path.worker, .tunnel.queues]')"
    step "queues: $(status client | jq -c '.tunnel.queues') $(status other | jq -c '.tunnel.queues')" \
        "$(status provider | jq -c '.packets.queues')"
}

each_has_its_own() {
    status provider | jq -e '[.connections[].path.worker] | sort == [1, 2]'
}

has_no_tunnel() {
    status "$1" | jq -e '.tunnel == null'
}

# With packets on their way in both directions.
lose_device() {
    on client iperf3 --connect-timeout 5000 -c $web4 -t 5 -R > "$scratch/iperf.out" 2>&1 &
    on client timeout 5 ping -n -f $web4 > "$scratch/ping.log" 2>&1 &
    wait_for 10 "a worker for the new connection" is_lent provider
    sleep 0.5
    ip -n client link delete dev ww0
    wait_for 5 "the tunnel's end" has_no_tunnel client
    is_alive client || fail "the client ends with its device"
    open_tunnel client $web4
    on client ping -n -c 3 -i 0.2 -W 5 $web4 > "$scratch/ping.log" || fail "$(cat "$scratch/ping.log")"
    step "the device was gone for a moment"
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
check_queues
carry
kill -HUP "${pid[client]}" "${pid[provider]}"
roam
shared=true
check_client client provider
check_client other provider
check_books
node_stop other
node_stop client
start_client_on client --tunnel-workers 2
open_tunnel client $web4
lose_device
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
