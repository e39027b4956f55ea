#!/bin/bash
# disputed.sh for packets: a dispute keeps the client from a next contract with the provider that its flows are
# bound to, and one of them takes all that is left. What begins goes by another provider, and so do the flows
# that are open when nothing more can be sent: before, all the tunnel's packets waited behind theirs.
# tunnel_disputed.sh
#
#   arbiter 11.0.1.2   one 11.0.2.2   two 11.0.3.2   web 11.0.4.2   client 11.0.5.2   other 11.0.6.2
#        └──────────────────┴─── router ───┴──────────────┴────────────────┴────────────────┘
set -euo pipefail
. "$(dirname "$0")/net.sh"
command -v iperf3 > /dev/null || exit 77
web4=11.0.4.2 lost=false

# Of its first provider nothing more can be had.
is_spent() {
    status client | jq -e --arg peer "$first" 'any(.connections[];
        .peer == $peer and ([.contracts[].bytes_unpromised] | add) < 1500)'
}

received() {
    grep -c 'bytes from' "$scratch/flow.out" || true
}

goes_on() { # SINCE
    (($(received) > $1 + 5))
}

machine arbiter 1
machine one 2
machine two 3
machine web 4
machine client 5
machine other 6
nsenter --net=/run/netns/web "$tools/system_exit_peer" serve 7000 $web4 2a00:11:0:4::2 > "$scratch/peer.log" 2>&1 &
nsenter --net=/run/netns/web iperf3 -s > "$scratch/iperf.log" 2>&1 &
start_arbiter_on --policies "$here/policies/kill" --disputes-run-s 3600
for name in one two client; do
    join_on $name
done
join_invited other client
start_provider_on one
start_client_on client
start_client_on other
open_tunnel client $web4
first=$(status one | jq -r .node)

load_other() {
    open_tunnel other $web4
    nsenter --net=/run/netns/other iperf3 -c $web4 -t 20 -R > "$scratch/other.out" 2>&1 &
    load=$!
}
open_dispute start_client_on
nsenter --net=/run/netns/client ping -n -i 0.1 -W 1 $web4 > "$scratch/flow.out" &
flow=$!
wait_for 10 "echoes" goes_on 0
start_provider_on two
step "a dispute is open with one; what the client has there carries on"

nsenter --net=/run/netns/client iperf3 -c $web4 -t 30 -b 20M > "$scratch/load.out" 2>&1 &
load=$!
wait_for 20 "the end of what one carries" is_spent
before=$(received)
began_ms=$(now_ms)
wait_for 10 "the open flow's echoes by two" goes_on "$before"
on client "$tools/system_exit_peer" tcp $web4 7000 2 100000 || fail "a new connection"
step "nothing is left there: the open flow goes on, and a new one begins, after $(($(now_ms) - began_ms)) ms"
kill -TERM $flow $load 2> /dev/null || true
wait $flow $load 2> /dev/null || true
# The client asks again each 4 s; the connection is given up when that is refused twice after the last byte.
is_kept() {
    status client | jq -e --arg peer "$first" 'any(.connections[]; .peer == $peer)'
}
sleep 1 # so that the verdict comes in such a pause
call arbiter dispute.run > /dev/null || fail "dispute.run"
judged_ms=$(($(now_ms) - began_ms))
wait_for 15 "the next contract with one" eval '[[ $(status client | jq .no_next) == null ]]'
if is_kept > /dev/null; then
    step "judged after $judged_ms ms, and one is bought of again"
else
    ((judged_ms > 3000)) || fail "judged after $judged_ms ms, and the connection with one was given up"
    step "judged after $judged_ms ms, too late for the connection with one"
    lost=true
fi
shared=true may_lose=$lost
check_client client one two
check_books
step "all held"
