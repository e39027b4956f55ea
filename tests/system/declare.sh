#!/bin/bash
# A client that never declares: its streams are served for some seconds, then reset, and no more are
# opened; the two still agree on every byte, and it is paid for.
# A client whose list lets a private destination through, and a provider that goes by the fixed one:
# the signed declaration closes the contract at once and is in the close. What the provider excepts
# itself goes on. The arbiter finds the proof: the client is banned, the provider has the escrow.
# declare.sh
. "$(dirname "$0")/lib.sh"

start_arbiter
join provider bobnet
join client alicenet
credit alicenet 100000000000
start_provider
start_origin

moved() {
    status provider | jq '[.bytes_up, .bytes_down, (.connections[].contracts[] | .bytes_up, .bytes_down)] | add'
}

is_moving() {
    (($(moved) > 1048576))
}

refused() {
    status provider | jq .streams_refused
}

all_reset() {
    (($(refused) >= 8))
}

rigged client WW_NEVER_DECLARES=1
start_client
traffic_start slow --count 8 --max 67108864 --seed 1 > /dev/null 2>> "$scratch/slow.log"
wait_for 5 "traffic that isn't declared" is_moving
wait_for 15 "its end" all_reset
[[ $(status provider | jq .contracts_denied) == 0 ]] || fail "silence was taken for malice"
before=$(moved)
wait "$traffic_pid" && fail "the streams ended well"
! out=$(traffic many --count 8 --max 65536 --seed 1 2> /dev/null) || fail "more streams were served: $out"
[[ $(jq .bytes_down <<< "$out") == 0 ]] || fail "more bytes were served: $out"
after=$(moved)
# What a client sends before it hears of the refusal is counted and goes nowhere.
((after - before < 65536 * 9)) || fail "$((after - before)) bytes moved after the end"
step "undeclared: $before bytes in all, $((after - before)) since the end, $(refused) streams refused"
check_counts 67108864
node_stop client
unset "node_program[client]"

start_client --allow-private 10.99.0.0/16
step "ready: the client alone allows 10.99.0.0/16"

out=$(traffic many --count 32 --max 65536 --seed 1) || fail "$out"
step "loopback, which both except: $out"
[[ $(status provider | jq .contracts_denied) == 0 ]] || fail "an exception was taken for malice"
contract=$(status provider | jq -r '[.connections[].contracts[] | select(.state == "current")][0].contract')

exec 3<> "/dev/tcp/127.0.0.1/$proxy_port"
printf 'CONNECT 10.99.1.2:80 HTTP/1.1\r\nHost: 10.99.1.2:80\r\n\r\n' >&3
is_denied() {
    status provider | jq -e --arg id "$contract" '.contracts_denied == 1 and
        any(.history[]; .contract == $id and .reason == "denied" and .state != "closing")'
}
wait_for 10 "the end of the contract" is_denied
step "closed: $(status provider | jq -c --arg id "$contract" '.history[] | select(.contract == $id)')"

is_disputed() {
    [[ $(status arbiter | jq .disputed_total) == 1 ]]
}
wait_for 15 "the dispute" is_disputed
"$program" dispute list --state "$scratch/arbiter" --json > "$scratch/list.json"
"$program" dispute run --state "$scratch/arbiter" --json > "$scratch/run.json" || fail "dispute run"
step "run: $(jq -c . "$scratch/run.json")"
client_node=$(status client | jq -r .node)
call arbiter ban.list | jq -e --arg node "$client_node" '.bans | length == 1 and .[0].node == $node' ||
    fail "bans: $(call arbiter ban.list)"
call arbiter wallet.show | jq -e '[.wallets[] | .dispute | tonumber] | add == 0' ||
    fail "a verdict leaves money in dispute"
check_books
node_stop client
node_stop provider
node_stop arbiter
check_books_offline
step "all held"
