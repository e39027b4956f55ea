#!/usr/bin/env bash
# Transcripts in docs/policies/ and docs/operating/repl.md: whoever types what they say, with nodes that
# run, sees what they say, but for ids, times, and what the node carried meanwhile.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/page.sh"
unset WW_CONTROL WW_KEY WW_STATE WW_ARBITER NO_COLOR
docs=$here/../../docs

step "explaining.md"
page=$docs/policies/explaining.md
replay 1
replay 2

# What differs from run to run, in these pages: times, hashes, ids, and who runs this. Columns are as wide as
# what is in them.
plain() {
    sed -E "s/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}/WHEN/g; s/\\b(ann|$(id -un))\\b/WHO/g
        s/\\b[a-z2-7]{52}\\b/ID/g; s/\\b[a-z2-7]{10}\\b/HASH/g; s/\\b[0-9a-f]{4}-[0-9]+\\b/DECISION/g
        s/of [0-9]+ decisions/of N decisions/; s/network_age_s = [0-9]+/network_age_s = N/
        s/[0-9]+ tests/N tests/; s/ +/ /g; s/ $//"
}

step "reload.md"
page=$docs/policies/reload.md
mkdir "$scratch/rules" "$scratch/other"
cp "$here/../../policies/default/contract.lua" "$scratch/rules"
cp "$here/../../policies/default/contract.lua" "$scratch/other"
echo '-- another' >> "$scratch/other/contract.lua"
start_arbiter --policies "$scratch/rules"
export WW_CONTROL=$scratch/arbiter/control.sock
generation() {
    [[ $("$program" policy log --json | jq .current) == "$1" ]]
}
echo '-- changed' >> "$scratch/rules/contract.lua"
wait_for 10 "a reload by itself" generation 2
printf 'local M = {}\n\nfunction M.offer(request)\n    return { decision = "accept" }\nend\nreturn {}(M)\n' > "$scratch/rules/contract.lua"
replay 1
"$program" policy reload "$scratch/other" > /dev/null || fail "no reload"
replay 2
node_stop arbiter
unset WW_CONTROL

step "shadow-and-replay.md"
page=$docs/policies/shadow-and-replay.md
mkdir "$scratch/policies.next"
block lua 1 > "$scratch/policies.next/contract.lua"
node_start arbiter arbiter --listen "127.0.0.1:$arbiter_port"
wait_for 15 "the arbiter's start" is_ready arbiter
join provider bobnet
join client alicenet
credit alicenet 100000000000
start_provider
start_client
export WW_CONTROL=$scratch/arbiter/control.sock
decision=$("$program" policy journal --json --hook contract.offer | jq -r '.decisions[0].id')
replay 1
replay 2
replay 3
replay 4
unset WW_CONTROL

step "repl.md"
page=$docs/operating/repl.md
# typed NUMBER: what stands behind the prompts of a console block: an input that begins a loop, to its end.
typed() {
    block console "$1" | awk 'inside { print } inside && /^end/ { inside = 0; next }
        match($0, /^ww [a-z]+( admin#|>) /) { input = substr($0, RLENGTH + 1); print input; inside = input ~ / do$/ }'
}
# What was printed for it: without the inputs, the greeting, and what a trace sends.
said() {
    block console "$1" | awk 'inside { if (/^end/) inside = 0; next } /^\$ / || /It reads only/ { next }
        match($0, /^ww [a-z]+( admin#|>) /) { inside = / do$/; next } /^[0-9][0-9]:[0-9][0-9]:/ { exit } { print }'
}
numbers() {
    plain | sed -E "s/^[a-z2-7]{8}\\t/ID\\t/; s/(^|\\t)[0-9]+$/\\1N/; s/network = \"[0-9a-f]{4}.*\"/network = ID/
        s#$scratch/#/etc/ww/policies/#; s/streams = [0-9]+/streams = N/"
}
# session NUMBER NODE ARGUMENT…
session() {
    said "$1" | numbers > "$scratch/expected"
    [[ -s $scratch/expected ]] || fail "the page has no block $1"
    typed "$1" | grep -v '^.watch' | sed "s#/etc/ww/policies/#$scratch/#" > "$scratch/inputs"
    "$program" repl --state "$scratch/$2" "${@:3}" < "$scratch/inputs" 2>&1 | numbers > "$scratch/printed"
    diff -u "$scratch/expected" "$scratch/printed" || fail "the page says otherwise"
}
# commands NUMBER: what stands behind "$ ww repl NODE".
commands() {
    local line
    said "$1" | numbers | sed -E 's/^.\{"value".*/JSON/; s/^\{"value.*/JSON/' > "$scratch/expected"
    block console "$1" | sed -n 's/^\$ ww repl //p' | while IFS= read -r line; do
        eval "\"\$program\" repl --state \"\$scratch\"/$line"
    done 2>&1 | numbers | sed -E 's/^\{"value.*/JSON/' > "$scratch/printed"
    diff -u "$scratch/expected" "$scratch/printed" || fail "the page says otherwise"
}
commands 1
session 2 provider
"$program" ban alicenet --reason x --confirm alicenet --state "$scratch/arbiter" 2> /dev/null
session 3 arbiter
session 4 arbiter
session 5 arbiter
session 6 provider
commands 7
# What a trace and a log send, as the page has it: the same fields, the same shape.
event() {
    sed -n '/^[0-9:.]* hook contract.offer {/,/^}/p' | sed -n 's/^ *\([a-z_]*\) = .*/\1/p' | sort -u
}
block console 5 | event > "$scratch/expected"
"$program" repl --state "$scratch/arbiter" -e 'trace.hook("contract.offer")' -e 'log.follow()' -e 'sleep(60)' \
    > "$scratch/events" 2>&1 &
tracer=$!
wait_for 10 "the trace" grep -q 'kind = "log"' "$scratch/events"
"$program" repl --state "$scratch/arbiter" --write "ticket 4711" -e 'bans.list()' -e 'log.note("before the upgrade")' > /dev/null
"$program" repl --state "$scratch/client" --write "a new contract" -e 'peers.drop(peers.list()[1].peer)' > /dev/null
wait_for 20 "a decision" grep -q '^    time_us' "$scratch/events"
wait_for 10 "a line of the log" grep -q 'a note' "$scratch/events"
kill -INT "$tracer"
wait "$tracer" || true
event < "$scratch/events" > "$scratch/printed"
diff -u "$scratch/expected" "$scratch/printed" || fail "the page has other fields of a decision"
line() {
    sed -E -n 's/^[0-9:.]{12} (warn repl: a session changes something) session=[0-9]+ call=log.note (args.*)/\1 \2/p'
}
block console 6 | line > "$scratch/expected"
line < "$scratch/events" > "$scratch/printed"
diff -u "$scratch/expected" "$scratch/printed" || fail "the page has another line of the log"
step "all held"
