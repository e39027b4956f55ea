#!/bin/bash
# A ban acts at once on real nodes in the middle of traffic: contracts end, the connection between the
# two is cut, nothing new is made; lifted, all goes on. Then the client: its provider is paid for what
# the client's last receipt proves, though the arbiter did not have it. ban.sh
. "$(dirname "$0")/lib.sh"

start_all
banned=$(status provider | jq -r .node)
busy() {
    status client | jq -e 'any(.connections[]; .streams > 0) and
        ([.connections[].contracts[] | .bytes_down] | add) > 1000000'
}
begin_traffic() {
    traffic_start endless --max 4194304 --total 60 --seed 4 > /dev/null 2> "$scratch/endless.log"
    wait_for 15 "traffic" busy
}
end_traffic() {
    kill -TERM $traffic_pid 2> /dev/null || true
    wait $traffic_pid 2> /dev/null || true
    ! grep -q wrong "$scratch/endless.log" || fail "wrong bytes: $(cat "$scratch/endless.log")"
}
begin_traffic

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
end_traffic
check_books

begin_traffic
contract=$(status provider | jq -r 'first(.connections[].contracts[] | select(.state == "current")).contract')
client=$(status client | jq -r .node)
ban "$client" --reason "a test" --confirm="$client" || fail "ban: $(cat "$scratch/ban.err")"
is_paid() {
    status provider | jq -e --arg contract "$contract" 'any(.history[];
        .contract == $contract and .state == "settled")'
}
wait_for 10 "the provider's pay" is_paid
status provider | jq -e --arg contract "$contract" '.history[] | select(.contract == $contract) |
    .proven_up + .proven_down > 0 and
    (.outcome | fromjson).bytes == .proven_up + .proven_down' ||
    fail "the provider is not paid as its receipt proves: $(status provider | jq -c '.history[-1]')"
step "paid as its last receipt proves"
end_traffic
check_books
node_stop client
node_stop provider
node_stop arbiter
check_books_offline
step "all held"
