#!/bin/bash
# What the arbiter has forgotten is nowhere in its files: no contract id, no key of its two nodes, in
# any file of its state or its log, after a settlement and `ww arbiter forget --now`. And what
# somebody copied before can't be read with the keys that are left.
. "$(dirname "$0")/lib.sh"
export LC_ALL=C

start_arbiter --policies "$here/policies/small" --log-level debug --metrics "127.0.0.1:$(free_port)"
join provider bobnet
join client alicenet
credit alicenet 100000000000
start_provider
start_client
start_origin
step "ready"

# Files of the arbiter that have the bytes of a hex text. A compressed block would hide them; ids and
# hashes are random, so LevelDB stores what they are in as it is, or in parts of the original.
holders_of_raw() {
    local pattern
    pattern=$(sed 's/../\\x&/g' <<< "$1")
    grep -rlaP "$pattern" "$scratch/$2" "$scratch/arbiter.log" || true
}

holders_of_text() {
    grep -rlai "$1" "$scratch/$2" "$scratch/arbiter.log" || true
}

# In clear a node's key hash is that of a member. As bytes it is only in contracts.
check_forgotten() {
    local folder=$1 name found
    for name in "${ids[@]}"; do
        found=$(holders_of_raw "$name" "$folder")$(holders_of_text "$name" "$folder")
        [[ -z $found ]] || fail "contract $name is in $found"
    done
    for name in "${hashes[@]}"; do
        found=$(holders_of_raw "$name" "$folder")
        [[ -z $found ]] || fail "node $name is in $found"
    done
}

ids_of() {
    status client | jq -r '(.connections[].contracts[].contract), (.history[].contract)'
}

keys_of() {
    sha256sum "$scratch/arbiter"/ledger-?.key | cut -d ' ' -f 1
}

traffic sizes --max 262144 --seed 5 > "$scratch/echo.out" 2>&1 ||
    fail "traffic: $(cat "$scratch/echo.out")"
mapfile -t ids < <(ids_of)
mapfile -t hashes < <(call arbiter contracts | jq -r '.contracts[] | .client, .provider' | sort -u)
((${#ids[@]} > 0 && ${#hashes[@]} == 2)) || fail "${#ids[@]} contracts, ${#hashes[@]} nodes"
[[ $(call arbiter status | jq .contracts_open) -gt 0 ]] || fail "no contract is open"
check_forgotten arbiter
before=$(keys_of)

step "forgetting while ${#ids[@]} contracts are open or settled"
"$program" arbiter forget --now --state "$scratch/arbiter" --json > "$scratch/forget.json" ||
    fail "forget: $(cat "$scratch/forget.json")"
[[ $(jq .forgotten "$scratch/forget.json") == true ]] || fail "forget says $(cat "$scratch/forget.json")"
[[ $(wc -l <<< "$(keys_of)") == 1 ]] || fail "keys: $(ls "$scratch/arbiter")"
[[ $(keys_of) != "$before" ]] || fail "the key is the old one"
check_books

step "a thief copies the state while contracts are open"
copy_running arbiter "$scratch/stolen"
rm -f "$scratch/stolen/control.sock"
[[ $("$program" ledger verify --state "$scratch/stolen" --json | jq '.ok and .contracts > 0') == true ]] ||
    fail "the copy with its key can't be read"

step "all contracts end, and are forgotten"
check_counts 2097152
mapfile -t ids < <(ids_of | sort -u)
"$program" arbiter forget --now --control "$scratch/arbiter/control.sock" > "$scratch/forget.out" ||
    fail "forget: $(cat "$scratch/forget.out")"
grep -q "is gone" "$scratch/forget.out" || fail "forget prints $(cat "$scratch/forget.out")"
check_forgotten arbiter
curl -fsS "http://$(sed -n 's/.*metrics.*\(127\.0\.0\.1:[0-9]*\).*/\1/p' <<< "${node_args[arbiter]}")/metrics" \
    > "$scratch/metrics.txt" || fail "metrics"
for id in "${ids[@]}"; do
    ! grep -qi "$id" "$scratch/metrics.txt" || fail "metrics name $id"
done
check_books

step "the thief's copy with the keys that are left"
rm -f "$scratch/stolen"/ledger-?.key
cp "$scratch/arbiter"/ledger-?.key "$scratch/stolen"
code=0
"$program" ledger verify --state "$scratch/stolen" --json > "$scratch/stolen.json" 2>&1 || code=$?
((code != 0)) || fail "old records opened with a new key"
grep -q "whose key is not beside the store" "$scratch/stolen.json" || fail "verify says $(cat "$scratch/stolen.json")"
check_forgotten stolen

step "after a restart"
node_stop client
node_stop provider
node_stop arbiter
check_books_offline
check_forgotten arbiter
node_start arbiter
wait_for 15 "the arbiter's restart" is_ready arbiter
check_books
[[ $(call arbiter wallet.show | jq '[.wallets[].earned | tonumber] | add') -gt 0 ]] || fail "nobody earned"
node_stop arbiter
step "${#ids[@]} contracts forgotten"
