#!/bin/bash
# What policies remember: counted by decisions, seen and changed in the REPL, there again after a crash
# and after a stop, gone when it is over; on an arbiter never in clear, in no backup, and after
# `ww arbiter forget --now` in nothing that a key is left for.
. "$(dirname "$0")/lib.sh"
export LC_ALL=C
policies=$scratch/policies
marker=qzjxvkwpmarkerqzjx

mkdir "$policies"
cat > "$policies/market.lua" << LUA
local M = {}
function M.stat(_, ctx)
    return { decision = "keep", reason = "limit " .. (ctx.thresholds.limit or "none"), remember = {
        { key = "asked", value = (ctx.memory.asked or 0) + 1, seconds = 3600 },
        { key = "$marker", value = "$marker", seconds = 3600 },
    } }
end
function M.fund() return { order = {} } end
return M
LUA

# gives NODE EXPRESSION TEXT: what an expression prints, at a session that may operate.
gives() {
    local got
    got=$("$program" repl --state "$scratch/$1" --write test -e "$2" 2> "$scratch/err" < /dev/null) ||
        fail "$2 on $1: $(head -c 2000 "$scratch/err")"
    [[ $got == "$3" ]] || fail "$2 on $1 gives $got, not $3"
}

asked() {
    "$program" repl --state "$scratch/arbiter" -e 'policy.memory("market.stat")[1].value' < /dev/null
}

start_arbiter --policies "$policies" --policy-thresholds limit=7,other=1
join provider bobnet
start_provider
before=$(asked) # it is asked by itself now and then
((before > 0 && before < 20)) || fail "asked at the start: $before"

step "counted, and changed by hand"
gives arbiter 'market.update().changed' false
(($(asked) > before)) || fail "not counted: $(asked) after $before"
gives arbiter 'policy.memory()[2].key, #policy.memory()' "\"$marker\""$'\n2'
gives arbiter 'policy.remember("market.stat", "asked", 40, 3600) ~= nil, market.update() ~= nil' $'true\ntrue'
(($(asked) >= 41)) || fail "after 40: $(asked)"
gives provider 'policy.remember("contract.accept", "word", "hello", 3600) ~= nil' true
gives provider 'policy.remember("contract.accept", "short", 5, 1) ~= nil' true
gives provider 'policy.memory("contract.accept")[1].value' '"hello"'
gives provider 'select(2, pcall(policy.remember, "flow.verdict", "host", 1, 60)).code' '"EUNSUPPORTED"'
gives provider 'pcall(policy.remember, "contract.accept", "long", 1, 2764801) or pcall(policy.remember, "contract.accept", "half", 0.5, 9)' false
if "$program" repl --state "$scratch/provider" -e 'policy.forget("contract.accept", "word")' < /dev/null > /dev/null 2>&1; then
    fail "a session that may only read has changed it"
fi

step "thresholds, by configuration and by hand"
gives arbiter 'policy.journal("market.stat")[1].result:match("limit %w+")' '"limit 7"'
gives arbiter 'node.set("policy.thresholds", { limit = 8 }).now.limit, market.update() ~= nil' $'8\ntrue'
gives arbiter '#policy.journal("market.stat") > 3, policy.journal("market.stat", 1)[1].result:match("limit %w+")' $'true\n"limit 8"'
gives arbiter 'policy.replay().changed + policy.replay().reworded' 0
gives arbiter 'pcall(node.set, "policy.thresholds", { limit = -1 }) or pcall(node.set, "policy.thresholds", { Limit = 1 })' false

step "after a crash"
sleep 2.5 # what the last second has brought may be lost
node_kill arbiter
node_kill provider
node_start arbiter
node_start provider
wait_for 20 "the arbiter" is_ready arbiter
wait_for 20 "the provider" is_ready provider
(($(asked) >= 42)) || fail "asked after the crash: $(asked)"
gives provider '#policy.memory(), policy.memory()[1].value' $'1\n"hello"'

step "after a stop, at once"
gives provider 'policy.remember("path.choose", "late", 7, 3600) ~= nil' true
node_stop provider
node_start provider
wait_for 20 "the provider" is_ready provider
gives provider 'policy.memory("path.choose")[1].value' 7

step "sealed, and in no backup"
sleep 1.5
found=$(grep -rlai "$marker" "$scratch/arbiter" "$scratch/arbiter.log" || true)
[[ -z $found ]] || fail "in clear in $found"
copy_running arbiter "$scratch/stolen"
"$program" ledger verify --state "$scratch/stolen" > /dev/null || fail "the copy with its key can't be read"

step "forgotten"
sleep 1.2
for key in asked "$marker"; do
    call arbiter policy.remember "{\"hook\":\"market.stat\",\"key\":\"$key\",\"seconds\":0}" > /dev/null || fail "forget $key"
done
"$program" arbiter forget --now --state "$scratch/arbiter" > "$scratch/forget.out" || fail "forget"
node_kill arbiter # at once: it is not there any more, although it was forgotten less than a second ago
cp "$scratch/arbiter"/ledger-?.key "$scratch" # the keys that are left open nothing of before
rm -f "$scratch/stolen"/ledger-?.key
cp "$scratch"/ledger-?.key "$scratch/stolen"
if "$program" ledger verify --state "$scratch/stolen" > "$scratch/stolen.out" 2>&1; then
    fail "what was remembered opens with a new key"
fi
node_start arbiter
wait_for 20 "the arbiter" is_ready arbiter
(($(asked) < 20)) || fail "forgotten, and asked $(asked)"
"$program" arbiter forget --now --state "$scratch/arbiter" > "$scratch/forget.out" || fail "forget"
node_stop provider
node_stop arbiter
check_books_offline
"$program" ledger backup "$scratch/books" --state "$scratch/arbiter" > "$scratch/backup.out" 2>&1 ||
    fail "backup: $(cat "$scratch/backup.out")"
! grep -qaE "$marker|~memory" "$scratch/books" || fail "the backup has what policies remember"
