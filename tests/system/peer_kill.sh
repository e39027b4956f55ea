#!/bin/bash
# kill -9 of both peers in mid-contract: after the restart each closes the contract, the provider at
# the client's last receipt that it had stored, the client at its stored counts, and the arbiter takes
# both closes. peer_kill.sh
. "$(dirname "$0")/lib.sh"

start_all
# 2 MiB a second, so that the contract, of 64 MiB, is the same one until the kill.
busy() {
    traffic_start slow --count 8 --max 67108864 --seed "$1" > /dev/null 2>> "$scratch/slow.log"
    wait_for 15 "traffic" is_busy
}

is_busy() {
    status client | jq -e '([.connections[].contracts[] | .bytes_down] | add) > 1000000'
}

idle() {
    kill -TERM $traffic_pid 2> /dev/null || true
    wait $traffic_pid 2> /dev/null || true
}

# The contract that is current at a node.
current() {
    status "$1" | jq -r '[.connections[].contracts[] | select(.state == "current")][0].contract'
}

entry_of() {
    status "$1" | jq -ce --arg id "$contract" '.history[] | select(.contract == $id)'
}

is_taken() {
    entry_of "$1" | jq -e '.state != "closing"'
}

busy 1
sleep 2.5 # records are written each second
contract=$(current provider)
counts=$(status client | jq --arg id "$contract" \
    '.connections[].contracts[] | select(.contract == $id) | .bytes_down')
node_kill provider
node_kill client
idle
node_start provider
wait_for 15 "the provider's second start" is_ready provider
wait_for 10 "its close of the contract" is_taken provider
entry=$(entry_of provider)
jq -e '(.clean | not) and .proven_down == .bytes_down and .proven_up == .bytes_up' <<< "$entry" \
    > /dev/null || fail "the provider's close: $entry"
step "the provider closed at its stored receipt: $entry"
node_start client
wait_for 10 "the client's close of the contract" is_taken client
entry=$(entry_of client)
jq -e '.clean | not' <<< "$entry" > /dev/null || fail "the client's close: $entry"
step "the client closed at its stored counts, of $counts seen: $entry"
check_books

node_kill provider
node_start provider
wait_for 15 "the provider's third start" is_ready provider
! entry_of provider > /dev/null || fail "the close was told again after the arbiter had it"
node_stop client
node_stop provider
node_stop arbiter
check_books_offline
step "all held"
