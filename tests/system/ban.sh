#!/bin/bash
# A ban acts at once on real nodes in the middle of traffic: contracts end, the connection between the
# two is cut, nothing new is made; lifted, all goes on. ban.sh
. "$(dirname "$0")/lib.sh"

start_all
banned=$(status provider | jq -r .node)
busy() {
    status client | jq -e 'any(.connections[]; .streams > 0) and
        ([.connections[].contracts[] | .bytes_down] | add) > 1000000'
}
traffic_start endless --max 4194304 --total 60 --seed 4 > /dev/null 2> "$scratch/endless.log"
wait_for 15 "traffic" busy

ban() {
    "$program" ban "$@" --state "$scratch/arbiter" > "$scratch/ban.out" 2> "$scratch/ban.err"
}
ban "$banned" --reason "a test" && fail "a ban without --confirm"
before=$(now_ms)
ban "$banned" --reason "a test" --confirm="$banned" || fail "ban: $(cat "$scratch/ban.err")"
is_cut() {
    status client | jq -e '[.connections[].contracts[]] | length == 0' &&
        [[ $(status provider | jq -r .arbiter.registered) == false ]] &&
        [[ $(status arbiter | jq .contracts_open) == 0 ]]
}
wait_for 10 "the end of all contracts" is_cut
step "cut after $(($(now_ms) - before)) ms"
check_books
ban list
grep -q "$banned" "$scratch/ban.out" || fail "ban list: $(cat "$scratch/ban.out")"
sleep 2
[[ $(status arbiter | jq .contracts_open) == 0 ]] || fail "a banned provider has a contract"
call arbiter wallet.show | jq -e '[.wallets[] | (.escrow, .dispute) | tonumber] | add == 0' ||
    fail "money is frozen"

ban lift "$banned" || fail "lift: $(cat "$scratch/ban.err")"
[[ $(call arbiter ban.list | jq '.bans | length') == 0 ]] || fail "the ban is still there"
is_back() {
    [[ $(status provider | jq -r .arbiter.registered) == true ]]
}
wait_for 40 "the provider's return" is_back
kill -TERM $traffic_pid 2> /dev/null || true
wait $traffic_pid 2> /dev/null || true
! grep -q wrong "$scratch/endless.log" || fail "wrong bytes: $(cat "$scratch/endless.log")"
check_books
node_stop client
node_stop provider
node_stop arbiter
check_books_offline
step "all held"
