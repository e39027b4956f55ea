#!/bin/bash
# The arbiter dies at random moments of running traffic, again and again, and is started with the
# same state on the same port. After each death: the books verify; every contract that a client
# holds is there; client and provider come back by themselves; bytes are right and go on.
# arbiter_kill.sh [KILLS [SEED [cut]]]: with "cut", each death takes along whatever was not synced.
. "$(dirname "$0")/lib.sh"

kills=${1:-50}
RANDOM=${2:-7}
step "seed ${2:-7}${3:+, with power cuts}"
[[ ${3:-} != cut ]] || loses_unsynced arbiter
start_arbiter --policies "$here/policies/small"
join provider bobnet
join client alicenet
credit alicenet 100000000000
start_provider
start_client
start_origin
traffic_start endless --max 1048576 --total 600 --seed 3 > "$scratch/endless.out" 2> "$scratch/endless.log"

# Contracts that the client holds and has not ended: the arbiter must know each.
held_contracts() {
    status client | jq -r '.connections[].contracts[].contract'
}

is_connected() {
    [[ $(status client | jq -r .arbiter.up) == true ]] &&
        [[ $(status provider | jq -r .arbiter.registered) == true ]]
}

moved() {
    status client | jq '.bytes_up + .bytes_down + ([.connections[].contracts[] | .bytes_up + .bytes_down] | add // 0)'
}

more_moved() {
    (($(moved) > moved_before))
}

# Settled, once the node has heard of it.
is_settled() {
    status client | jq -e --arg id "$1" 'any(.history[]; .contract == $id and .state == "settled")'
}

checked=0
moved_before=0
for ((round = 1; round <= kills; round++)); do
    wait_for 20 "new bytes before kill $round" more_moved
    sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
    node_die arbiter
    # What the client holds now it was given before.
    held=$(held_contracts)
    moved_before=$(moved)
    check_books_offline
    node_start arbiter
    wait_for 15 "the arbiter's restart $round" is_ready arbiter
    known=$(api client GET /v1/contracts) || fail "the arbiter after kill $round: $known"
    known=$(jq -r '.contracts[].contract' <<< "$known")
    for contract in $held; do
        # Unless both sides have ended it meanwhile.
        grep -q "$contract" <<< "$known" ||
            wait_for 10 "contract $contract is known, or settled, after kill $round" is_settled "$contract"
        checked=$((checked + 1))
    done
    wait_for 30 "the nodes' return after kill $round" is_connected
    check_books
    ((round % 10)) || step "$round kills, $checked held contracts found, $((moved_before >> 20)) MiB moved"
done
wait_for 15 "new bytes after the last kill" more_moved
kill -TERM $traffic_pid
wait $traffic_pid 2> /dev/null || true
step "streams that failed meanwhile: $(wc -l < "$scratch/endless.log")"
! grep -q wrong "$scratch/endless.log" || fail "wrong bytes: $(cat "$scratch/endless.log")"
check_counts 2097152 untold
node_stop client
node_stop provider
node_stop arbiter
check_books_offline
step "all held"
