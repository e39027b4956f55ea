#!/bin/bash
# A dispute opens between a client's network and its provider's, in the middle of a contract of theirs: another
# node of the client's network was killed with -9, and its close and the provider's differ. No next contract is
# to be had from that provider until there is a verdict, so the client connects another one beside it, and goes
# on; when there is a verdict, it buys of the first one again. disputed.sh
. "$(dirname "$0")/lib.sh"

node_of() {
    status "$1" | jq -r .node
}

# is_used NODE PROVIDER: the node has a contract with it, under which it may send.
is_used() {
    status "$1" | jq -e --arg peer "$(node_of "$2")" 'any(.connections[];
        .peer == $peer and .ready and any(.contracts[]; .state == "current" and .bytes_unpromised > 0))' > /dev/null
}

have_ended() {
    [[ $(status arbiter | jq .contracts_open) == 0 ]] &&
        status client | jq -e 'all(.history[]; .state == "settled" or .state == "void")'
}

# Each of its contracts has a next one, or needs none yet.
has_next() {
    [[ $(status client | jq .no_next) == null ]]
}

provider_start() { # NAME
    node_start "$1" provider --key "$scratch/keys/$1/key" --arbiter "$join_line" --loopback \
        --allow-private 127.0.0.0/8 --allow-private ::1/128
    wait_for 15 "the start of $1" is_ready "$1"
}

# The arbiter forgives nothing, and judges when it is told to.
start_arbiter --policies "$here/policies/kill" --disputes-run-s 3600
join one onenet
join two twonet
join client alicenet
credit alicenet 100000000000
join_invited other client
start_origin
provider_start one
start_client
own_port=$proxy_port
proxy_port=$(free_port)
node_start other client --key "$scratch/keys/other/key" --arbiter "$join_line" --loopback \
    --allow-private 127.0.0.0/8 --allow-private ::1/128 --proxy "127.0.0.1:$proxy_port"
wait_for 20 "the other client's start" is_ready other
wait_for 10 "a contract with one" is_used client one

load_other() { # ROUND
    traffic_start endless --max 8388608 --total 30 --seed $(($1 + 1)) > /dev/null 2>> "$scratch/endless.log"
    load=$traffic_pid
}
open_dispute node_start
is_used client one || fail "the client's contract with one is gone"
step "a dispute is open between alicenet and onenet, and the client is in mid-contract with one"

provider_start two
proxy_port=$own_port
# More than half of a contract of 8 MiB, and not all of it.
traffic many --count 16 --max 163840 --seed 3 > "$scratch/many.out" || fail "traffic: $(cat "$scratch/many.out")"
before=$(now_ms)
wait_for 15 "a contract with two" is_used client two
! grep -q "connection has ended" "$scratch/client.log" || fail "the connection with one was given up"
! has_next || fail "a next contract with one"
step "no next contract with one; two is connected beside it $(($(now_ms) - before)) ms after the traffic"
traffic many --count 64 --max 163840 --seed 4 > "$scratch/many.out" || fail "traffic: $(cat "$scratch/many.out")"
step "20 MiB more: $(cat "$scratch/many.out")"

call arbiter dispute.run > "$scratch/run.out"
[[ $(status arbiter | jq .contracts_disputed) == 0 ]] || fail "no verdict: $(cat "$scratch/run.out")"
wait_for 15 "the next contract with one" has_next
is_used client one || fail "nothing is left with one"
step "judged, and one is bought of again"
call client contracts.end > /dev/null || fail "contracts.end"
wait_for 15 "the end of all contracts" have_ended
check_books
step "all held"
