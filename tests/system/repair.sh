#!/bin/bash
# The end of the arbiter's store is damaged on disk: it refuses to start and says so, `ww ledger
# repair --cut-tail` says what it would cut and changes nothing, --confirm cuts it and keeps the store
# as it was; damage in the middle is refused.
. "$(dirname "$0")/lib.sh"

out=$scratch/out err=$scratch/err

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

sums() {
    (cd "$scratch/arbiter" && find . -type f ! -name LOCK ! -name '*.sock' -exec sha256sum {} + | sort)
}

# flip OFFSET: one byte of the store's log, counted from its end if negative.
flip() {
    local log offset=$1 byte
    log=$(ls "$scratch/arbiter/ledger"/*.log)
    ((offset >= 0)) || offset=$(($(stat -c %s "$log") + offset))
    byte=$(od -An -tu1 -j "$offset" -N 1 "$log")
    printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$log" bs=1 seek="$offset" conv=notrunc status=none
}

credit_times() {
    local index
    for ((index = 0; index < $1; index++)); do
        credit alicenet 1000
    done
}

repair=(ledger repair --cut-tail --state "$scratch/arbiter")

start_arbiter
join client alicenet
credit_times 5

step "nothing to repair"
run 75 "${repair[@]}"
says "$err" "An arbiter runs with these books"
run 2 ledger repair
says "$err" "--cut-tail"
node_stop arbiter
run 0 "${repair[@]}"
says "$out" "there is nothing to cut: the books balance, up to batch"
run 0 "${repair[@]}" --confirm
says "$out" "there is nothing to cut"
[[ -z $(ls "$scratch/arbiter" | grep -E 'damaged|repair') ]] || fail "left: $(ls "$scratch/arbiter")"
run 1 ledger repair --cut-tail --state "$scratch/nowhere"
says "$err" "There are no books here"

step "the last batch is damaged"
node_start arbiter
wait_for 15 "the arbiter's start" is_ready arbiter
credit_times 3
node_kill arbiter
flip -5
run 1 ledger verify --state "$scratch/arbiter"
code=0
timeout 20 "$program" arbiter --listen "127.0.0.1:$arbiter_port" --state "$scratch/arbiter" 2> "$err" || code=$?
((code == 1)) || fail "an arbiter with damaged books ended with $code"
before=$(sums)
run 0 "${repair[@]}"
says "$out" "the store's own files are damaged"
says "$out" "nothing was changed"
[[ $(sums) == "$before" ]] || fail "looking has changed: $(diff <(sums) - <<< "$before")"
run 0 "${repair[@]}" --confirm --json
jq -e '.cut and .damaged and .books.ok' "$out" > /dev/null || fail "repair says $(cat "$out")"
kept=$(jq -r .kept "$out")
[[ -d $kept && $kept == "$scratch/arbiter/ledger.damaged-"* ]] || fail "kept: $kept"
granted=$((granted - 1000))
check_books_offline
node_start arbiter
wait_for 15 "the arbiter's start" is_ready arbiter
check_books
rm -r "$kept"

step "a block in the middle is damaged"
credit_times 260
node_kill arbiter
(($(stat -c %s "$scratch/arbiter/ledger"/*.log) > 38000)) || fail "the log has $(stat -c %s "$scratch/arbiter/ledger"/*.log) bytes"
cp -r "$scratch/arbiter" "$scratch/good"
flip 20000
before=$(sums)
run 1 "${repair[@]}" --confirm
says "$err" "is whole: this is not a damaged tail"
[[ $(sums) == "$before" ]] || fail "a refused repair has changed: $(diff <(sums) - <<< "$before")"
[[ -z $(ls "$scratch/arbiter" | grep -E 'damaged|repair') ]] || fail "left: $(ls "$scratch/arbiter")"
rm -r "$scratch/arbiter"
mv "$scratch/good" "$scratch/arbiter"
node_start arbiter
wait_for 15 "the arbiter's start" is_ready arbiter
check_books

step "the key is lost"
node_stop arbiter
mkdir "$scratch/keys/old"
mv "$scratch/arbiter"/ledger-?.key "$scratch/keys/old"
run 1 "${repair[@]}" --confirm
says "$err" "whose key is not beside the store"
mv "$scratch/keys/old"/ledger-?.key "$scratch/arbiter"
check_books_offline
step "all held"
