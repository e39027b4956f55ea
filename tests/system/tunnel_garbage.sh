#!/bin/bash
# Packets that are not as they should be, in network namespaces: written into an honest client's device, with
# vnet headers that are not either; sent by a client that is not honest; and by a provider that is not.
# Nobody crashes (sanitizers watch), honest traffic goes on, counts stay equal. What leaves the provider's
# host, and what gets into a client's, is judged packet by packet. tunnel_garbage.sh [COUNT [SEED]]
#
#   arbiter 11.0.1.2   provider 11.0.2.2   web 11.0.3.2   client 11.0.4.2   mutant 11.0.5.2
#        └──────────────────┴─── router ───┴──────────────┴─────────────────┘
set -euo pipefail
. "$(dirname "$0")/net.sh"
count=${1:-4000} seed=${2:-1}
web4=11.0.3.2 web6=2a00:11:0:3::2

# start_judge MACHINE DEVICE FLAGS…: in the background; router is this namespace.
start_judge() {
    local space=/run/netns/$1
    [[ $1 != router ]] || space=/proc/self/ns/net
    nsenter --net="$space" "$tools/system_garbage" judge "${@:2}" > "$scratch/$1.seen" 2> "$scratch/$1.judge" &
    judge=$!
    wait_for 5 "the judge" grep -q ready "$scratch/$1.judge"
}

end_judge() { # MACHINE
    kill -TERM $judge
    wait $judge || fail "packets that should not be there: $(tail -n 5 "$scratch/$1.judge")"
    (($(sed -n 's/^seen \([0-9]*\),.*/\1/p' "$scratch/$1.judge") > 100)) || fail "nothing to judge"
    step "$1: $(tail -n 1 "$scratch/$1.judge")"
}

honest() {
    local address
    for address in $web4 $web6; do
        on "$1" ping -n -c 2 -i 0.1 -W 3 $address > "$scratch/ping.out" || fail "$1, ping $address: $(cat "$scratch/ping.out")"
        on "$1" "$tools/system_exit_peer" tcp $address 7000 2 200000 || fail "$1, TCP to $address"
    done
}

# busy MACHINE: traffic whose packets are mutated on their way; it may fail.
busy() {
    local address
    for address in $web4 $web6; do
        on "$1" ping -n -c 200 -i 0.002 -W 1 $address > "$scratch/ping.out" 2>&1 || true
        on "$1" timeout 8 "$tools/system_exit_peer" tcp $address 7000 4 $((count * 50)) 2> /dev/null || true
        on "$1" timeout 8 "$tools/system_exit_peer" udp $address 7000 100 1200 3000 2> /dev/null || true
    done
}

machine arbiter 1
machine provider 2
machine web 3
machine client 4
machine mutant 5
for name in provider web; do
    on $name "$tools/system_garbage" plain eth0 || fail "plain"
done
nsenter --net=/run/netns/web "$tools/system_exit_peer" serve 7000 $web4 $web6 > "$scratch/peer.log" 2>&1 &
start_arbiter_on
for name in provider client mutant; do
    join_on $name
done
start_provider_on provider
start_client_on client
open_tunnel client $web4 $web6
step "arbiter, provider, client and a host are ready"

start_judge router to-provider 11.0.2.2 2a00:11:0:2::2
honest client
on client "$tools/system_garbage" send ww0 $inner4 $web4 $inner6 $web6 "$count" "$seed" > "$scratch/sent.out" ||
    fail "garbage can't be sent"
honest client
step "into the device: $(cat "$scratch/sent.out"); $(status client | jq -c .tunnel)"
(($(status client | jq .tunnel.out_denied) > count / 20)) || fail "garbage is not denied"

rigged mutant WW_MUTATES="$seed"
start_client_on mutant
open_tunnel mutant $web4 $web6
busy mutant
honest client
step "by a client: $(status provider | jq -c .packets)"
(($(status provider | jq '.packets.out_refused + .packets.out_denied') > count / 20)) || fail "a mutant's packets pass"
end_judge router
# Neighbours and nodes apart: where the provider's host sent anything, it was allowed to.
grep -v -E '^(11\.0\.|2a00:11:0:[0-9]::2$)' "$scratch/router.seen" | "$program" address - > "$scratch/judged" || fail "ww address"
! grep deny "$scratch/judged" || fail "a destination that is denied"
step "destinations: $(wc -l < "$scratch/router.seen"), all allowed"
shared=true
check_client client provider
beside=1000000000 # what was mutated is in no other count of its own
check_client mutant provider
for name in mutant client provider; do
    node_stop $name
done

machine_of[guest]=client
join_on guest
rigged provider WW_MUTATES="$seed"
start_provider_on provider
start_client_on guest
open_tunnel guest $web4 $web6
start_judge client ww0 -s $web4 $web6
busy guest
step "by a provider: $(status guest | jq -c .tunnel)"
(($(status guest | jq .tunnel.in_refused) > count / 40)) || fail "a provider's garbage gets in"
end_judge client
check_client guest provider
node_stop guest
node_stop provider
check_books
node_stop arbiter
check_books_offline
step "all held"
