#!/bin/bash
# Clocks that differ. Up to two minutes from the arbiter's, in either direction and in opposite ones,
# harm nothing: contracts follow each other, counts are equal and all is paid, also for contracts that
# the other clock has seen. Beyond, a node says so, in its status and to a command, and buys nothing; it
# comes back as soon as its clock is right. skew.sh
. "$(dirname "$0")/lib.sh"

near=118 # the time that signing in takes on a busy machine counts, too
far=123

start_arbiter --policies "$here/policies/small"
join provider bobnet
join client alicenet
credit alicenet 100000000000
start_origin

# with_clocks PROVIDER CLIENT: starts both with these shifts, has them trade, and stops both.
with_clocks() {
    shifted provider "$1"
    shifted client "$2"
    start_provider
    start_client
    local out
    out=$(traffic many --count 24 --max 1048576 --seed 5) || fail "$out"
    check_counts 2097152
    jq -e '.contracts > 2' "$scratch/counts.json" > /dev/null || fail "no contract has followed another"
    node_stop client
    node_stop provider
    step "provider $1 s, client $2 s: $out"
}

with_clocks +$near -$near
with_clocks -$near +$near

clock_error() {
    status "$1" | jq -e --arg why "this host's clock is $2 the arbiter's" \
        '(.ready | not) and (.ready_why | test($why))'
}

shifted provider +$far
node_start provider
wait_for 15 "the error of a provider that is ahead" clock_error provider '12[0-9] s ahead of'
step "provider: $(status provider | jq -c '{ready, ready_why}')"
shifted client -$far
node_start client
wait_for 15 "the error of a client that is behind" clock_error client '12[0-9] s behind'
step "client: $(status client | jq -c '{ready, ready_why}')"
"$program" key new --key "$scratch/keys/late/key" > /dev/null 2>&1
code=0
"${node_program[client]}" join "$join_line" evenet --key "$scratch/keys/late/key" --json \
    > "$scratch/late.json" 2>&1 || code=$?
((code != 0)) && grep -q ECLOCK "$scratch/late.json" || fail "join ended with $code: $(cat "$scratch/late.json")"
step "join: $code, $(tr "\n" " " < "$scratch/late.json")"
[[ $(status arbiter | jq .contracts_open) == 0 ]] || fail "a contract was made"
node_stop client
node_stop provider

shifted provider 0
shifted client 0
node_start provider
node_start client
wait_for 15 "the return of the client, with the right clock" is_ready client
check_books
node_stop client
node_stop provider
node_stop arbiter
check_books_offline
step "all held"
