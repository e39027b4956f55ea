#!/bin/bash
# The books of a running arbiter are backed up while contracts carry traffic, its disk is lost, and a
# restore brings back every balance: contracts are gone, what they held is with who paid it, no
# contract is in the file, and the market goes on with the same nodes.
. "$(dirname "$0")/lib.sh"
export LC_ALL=C

out=$scratch/out err=$scratch/err backup=$scratch/books

# run CODE ARGUMENT…
run() {
    local expected=$1 code=0
    shift
    timeout -k 2 60 "$program" "$@" > "$out" 2> "$err" < /dev/null || code=$?
    [[ $code == "$expected" ]] || fail "ww $*: exit code $code, not $expected: $(head -c 2000 "$out" "$err")"
}

says() {
    grep -qF -- "$2" "$1" || fail "'$2' is not in: $(head -c 2000 "$1")"
}

# The sum of a wallet over all networks.
total() {
    call arbiter wallet.show | jq --arg wallet "$1" '[.wallets[][$wallet] | tonumber] | add'
}

start_arbiter --policies "$here/policies/small"
join provider bobnet
join client alicenet
credit alicenet 100000000000
start_provider
start_client
start_origin
traffic_start endless --max 1048576 --total 600 --seed 3 > "$scratch/endless.out" 2> "$scratch/endless.log"
earned() {
    (($(total earned) > 0))
}
wait_for 20 "the first settlement" earned

step "a backup while contracts are open"
run 0 ledger backup "$backup" --state "$scratch/arbiter" --json
jq -e '.contracts > 0 and .bytes > 100 and ([.held[] | .amount | tonumber] | add) > 0' "$out" > /dev/null ||
    fail "backup says $(cat "$out")"
held=$(jq '[.held[] | .amount | tonumber] | add' "$out")
contracts=$(jq .contracts "$out")
[[ $(stat -c '%a %s' "$backup") == "600 $(jq .bytes "$out")" ]] || fail "$(stat -c '%a %s' "$backup")"
[[ $(call arbiter status | jq .contracts_open) -gt 0 ]] || fail "no contract is open"
while read -r id; do
    ! grep -qaP "$(sed 's/../\\x&/g' <<< "$id")" "$backup" || fail "contract $id is in the backup"
    ! grep -qai "$id" "$backup" || fail "contract $id is in the backup"
done < <(status client | jq -r '(.connections[].contracts[].contract), (.history[].contract)')
run 1 ledger backup "$backup" --state "$scratch/arbiter"
(cd "$scratch" && run 0 ledger backup again --control "$scratch/arbiter/control.sock")
says "$out" "held by"
[[ -s $scratch/again ]] || fail "a name without a folder is not in the working folder"
run 1 ledger restore "$backup" --state "$scratch/arbiter"
says "$err" "There are books here already"

step "the disk is lost"
node_kill arbiter
kill -TERM $traffic_pid
wait $traffic_pid 2> /dev/null || true
mkdir "$scratch/lost"
mv "$scratch/arbiter"/ledger* "$scratch/lost"
echo "not a backup" > "$scratch/junk"
run 1 ledger restore "$scratch/junk" --state "$scratch/arbiter"
says "$err" "This is no backup"
head -c -40 "$backup" > "$scratch/short"
run 1 ledger restore "$scratch/short" --state "$scratch/arbiter"
says "$err" "it was changed, or cut short"
[[ -z $(find "$scratch/arbiter" -name 'ledger' -o -name 'ledger.*') ]] || fail "left: $(ls "$scratch/arbiter")"
run 0 ledger restore "$backup" --state "$scratch/arbiter" --json
[[ $(jq '[.held[] | .amount | tonumber] | add' "$out") == "$held" && $(jq .contracts "$out") == "$contracts" ]] ||
    fail "restore says $(cat "$out")"
check_books_offline
[[ $("$program" ledger verify --state "$scratch/arbiter" --json | jq '.contracts') == 0 ]] || fail "contracts are left"

step "the market goes on"
node_start arbiter
wait_for 15 "the arbiter's start" is_ready arbiter
check_books
is_connected() {
    [[ $(status client | jq -r .arbiter.up) == true ]] &&
        [[ $(status provider | jq -r .arbiter.registered) == true ]]
}
wait_for 30 "the nodes' return" is_connected
# What they had open is unknown here, and over for them; new contracts carry on.
node_stop client
node_stop provider
earned_before=$(total earned)
start_provider
start_client
traffic sizes --max 262144 --seed 5 > "$scratch/sizes.out" 2>&1 || fail "traffic: $(cat "$scratch/sizes.out")"
call client contracts.end > /dev/null
wait_for 15 "the end of all contracts" all_closed
(($(total earned) > earned_before)) || fail "nobody earned after the restore"
check_books

step "books at rest"
node_stop client
node_stop provider
node_stop arbiter
run 0 ledger backup "$scratch/rest" --state "$scratch/arbiter"
says "$out" "backed up to"
run 0 ledger restore "$scratch/rest" --state "$scratch/elsewhere"
says "$out" "the books balance"
run 0 ledger verify --state "$scratch/elsewhere" --json
total_of() {
    jq -c '.assets' <<< "$("$program" ledger verify --state "$1" --json)"
}
[[ $(total_of "$scratch/elsewhere") == "$(total_of "$scratch/arbiter")" ]] || fail "sums differ"
step "all held"
