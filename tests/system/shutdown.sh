#!/bin/bash
# SIGTERM during traffic: each node ends within 5 s with 0, its contracts are ended and settled, and
# a second run on the same state works. shutdown.sh
. "$(dirname "$0")/lib.sh"

start_all
busy() {
    traffic_start endless --max 8388608 --total 120 --seed "$1" > /dev/null 2>> "$scratch/endless.log"
    wait_for 15 "traffic" is_busy
}

is_busy() {
    status client | jq -e 'any(.connections[]; .streams > 0) and
        ([.connections[].contracts[] | .bytes_down] | add) > 1000000'
}

idle() {
    kill -TERM $traffic_pid 2> /dev/null || true
    wait $traffic_pid 2> /dev/null || true
}

no_contracts() {
    [[ $(status arbiter | jq .contracts_open) == 0 ]]
}

busy 1
# A UDP association of an application that stays.
exec 9<> "/dev/tcp/127.0.0.1/$proxy_port"
printf '\5\1\0\5\3\0\1\0\0\0\0\0\0' >&9
[[ $(head -c 4 <&9 | od -An -tx1) == " 05 00 05 00" ]] || fail "the UDP association"
node_stop client
exec 9>&-
idle
wait_for 5 "the settlement of the client's contracts" no_contracts
check_books

step "the client again, on the same state and port"
node_start client
wait_for 15 "the client's second start" is_ready client
busy 2
node_stop provider
wait_for 5 "the settlement of the provider's contracts" no_contracts
check_books
disputed=$(status arbiter | jq .contracts_disputed)
((disputed == 0)) || fail "$disputed contracts are disputed after orderly ends"

step "the provider again; the client finds it by itself"
node_start provider
wait_for 15 "the provider's second start" is_ready provider
wait_for 40 "the client's new contract" is_ready client
idle

# Histories end with a process: from here on both sides remember the same contracts.
node_stop client
node_start client
wait_for 15 "the client's third start" is_ready client
busy 3
node_stop arbiter
check_books_offline
rm "$scratch/arbiter/store.key" # the session secrets in the books can't be opened: new ones are made
node_start arbiter
wait_for 15 "the arbiter's second start" is_ready arbiter
is_back() {
    [[ $(status client | jq -r .arbiter.up) == true ]] &&
        [[ $(status provider | jq -r .arbiter.registered) == true ]]
}
wait_for 30 "the nodes' return" is_back
idle
check_counts 67108864 untold

step "SIGINT ends a node, too"
kill -INT "${pid[client]}"
code=0
wait "${pid[client]}" || code=$?
unset "pid[client]"
((code == 0)) || fail "the client ended with $code after SIGINT"
node_stop provider
node_stop arbiter
check_books_offline
step "all held"
