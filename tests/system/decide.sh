#!/bin/bash
# A client that was killed and claims less than the provider, on an arbiter that forgives nothing: the
# operator sees the case, is refused malice without a proof, decides, and the books balance.
. "$(dirname "$0")/lib.sh"

start_arbiter --policies "$here/../../examples/policies/strict-disputes" --disputes-run-s 3600
join provider bobnet
join client alicenet
credit alicenet 100000000000
start_provider
start_client
start_origin

is_busy() {
    status client | jq -e '([.connections[].contracts[] | .bytes_down] | add) > 4000000'
}

is_disputed() {
    [[ $(status arbiter | jq .contracts_disputed) == 1 ]]
}

# sum_of WALLET: of all networks.
sum_of() {
    call arbiter wallet.show | jq "[.wallets[] | .$1 | tonumber] | add"
}

# dispute CODE ARGUMENT…: `ww dispute …`; fails unless it ends with that code.
dispute() {
    local expected=$1 code=0
    shift
    "$program" dispute "$@" --state "$scratch/arbiter" > "$scratch/out" 2> "$scratch/err" || code=$?
    [[ $code == "$expected" ]] || fail "dispute $*: $code, not $expected: $(cat "$scratch/out" "$scratch/err")"
}

# A client that had just kept its counts has no less to claim: then once more.
for attempt in {1..8}; do
    traffic_start endless --max 8388608 --total 120 --seed "$attempt" > /dev/null 2>> "$scratch/endless.log"
    wait_for 20 "traffic" is_busy
    node_die client
    kill -TERM $traffic_pid 2> /dev/null || true
    wait $traffic_pid 2> /dev/null || true
    node_start client
    for _ in {1..50}; do
        ! is_disputed || break 2
        sleep 0.2
    done
done
is_disputed || fail "no dispute after $attempt kills"

step "looking"
if "$program" dispute list --state "$scratch/provider" > "$scratch/out" 2> "$scratch/err"; then
    fail "a provider has disputes"
fi
grep -q 'its kind is provider' "$scratch/err" || fail "asked of a provider: $(cat "$scratch/err")"
dispute 0 list --json
contract=$(jq -r '.disputes[0].contract' "$scratch/out")
claim=$(jq '.disputes[0].provider_claim' "$scratch/out")
dispute 0 show "$contract"
grep -q '^state  *ripe$' "$scratch/out" || fail "show says $(cat "$scratch/out")"

step "what is refused, and what changes nothing"
dispute 1 decide "$contract" client_malicious
grep -q 'EREFUSED' "$scratch/err" || fail "malice without a proof: $(cat "$scratch/err")"
dispute 0 decide "$contract" undecided
grep -q 'stays in dispute' "$scratch/out" || fail "undecided: $(cat "$scratch/out")"
is_disputed || fail "an undecided case is over"

earned=$(sum_of earned)
step "the verdict: $claim bytes are paid for"
dispute 0 decide "$contract" client_fault
grep -q '^client_fault: ' "$scratch/out" && grep -q '^0\.[0-9]* usd  alicenet/escrow -> bobnet/earned$' "$scratch/out" ||
    fail "decide says $(cat "$scratch/out")"
paid=$(($(sum_of earned) - earned))
expected=$((claim * 100000000 / 1073741824))
((paid >= expected && paid <= expected + 1)) || fail "$paid was paid for $claim bytes, not $expected"
(($(sum_of dispute) == 0)) || fail "a verdict leaves money in dispute"
dispute 1 decide "$contract" client_fault
grep -q 'EGONE' "$scratch/err" || fail "a second verdict: $(cat "$scratch/err")"
check_books
step "done"
