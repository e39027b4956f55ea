#!/bin/bash
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
start_client --allow-private 10.99.0.0/16
start_origin
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
