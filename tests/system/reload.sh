#!/bin/bash
# The policies of nodes that run: put in force by hand, by SIGHUP and by a change of a file; refused,
# taken back, compared; and their numbers outlive a restart.
. "$(dirname "$0")/lib.sh"

policies=$scratch/policies

# put PPM [EXTRA]: contract.lua that asks this share of the price, with its test.
put() {
    mkdir -p "$policies"
    sed "s/@PPM@/$1/; s/@EXTRA@/${2:-}/" > "$scratch/contract.new" << 'LUA'
local M = {}
function M.offer() return { decision = "accept", price_ppm = @PPM@ } end
function M.accept() return { decision = "accept" } end
function M.renew() return { decision = "ask" } end
function M.close() return { decision = "dispute" } end
@EXTRA@
return M
LUA
    mv "$scratch/contract.new" "$policies/contract.lua"
}

number_of() {
    status "$1" | jq .policy_number
}

is_number() {
    [[ $(number_of "$1") == "$2" ]]
}

ww_policy() {
    local node=$1
    shift
    "$program" policy "$@" --state "$scratch/$node"
}

put 500000
start_arbiter --policies "$policies"
join provider bobnet
start_provider --policies "$policies" --no-policy-watch
is_number arbiter 1 || fail "the first generation is $(number_of arbiter)"
[[ $(ww_policy arbiter log --json | jq -r '.changes[0].how') == start ]] || fail "the log's beginning"

step "a file changes"
put 400000
wait_for 10 "the reload after a change" is_number arbiter 2
ww_policy arbiter log | has "2 .*reload .*a file changed .*in force" || fail "the log: $(ww_policy arbiter log)"

step "a file is wrong: refused, and the old ones stay"
put 300000 "return nil("
wait_for 10 "the refusal" grep -q "new policies were refused.*contract.lua:" "$scratch/arbiter.log"
code=0
ww_policy arbiter reload > "$scratch/reload.out" 2> "$scratch/reload.err" || code=$?
((code == 1)) || fail "reload of a bad set ended with $code"
grep -q 'contract.lua:[0-9]*: ' "$scratch/reload.err" || fail "reload says $(cat "$scratch/reload.err")"
is_number arbiter 2 || fail "a bad set is in force"
{ ww_policy arbiter reload --json 2> "$scratch/reload.err" || true; } > "$scratch/reload.out"
jq -e '.error.code == "EPOLICY_SYNTAX"' "$scratch/reload.out" > /dev/null ||
    fail "reload --json: $(cat "$scratch/reload.out")"

step "by hand, by SIGHUP, and back"
is_number provider 1 || fail "the provider reloads without being asked"
put 200000
wait_for 10 "the reload after the correction" is_number arbiter 3
kill -HUP "${pid[provider]}"
wait_for 10 "the reload on HUP" is_number provider 2
ww_policy provider log --json | jq -e '.changes[-1].who == "signal HUP"' > /dev/null || fail "who reloaded"
ww_policy provider reload > "$scratch/reload.out" 2>&1 || fail "reload: $(cat "$scratch/reload.out")"
grep -q "generation 2 stays in force" "$scratch/reload.out" || fail "reload says $(cat "$scratch/reload.out")"
USER=mallory SUDO_USER='' ww_policy arbiter rollback | has "generation 2 is in force again" || fail "rollback"
ww_policy arbiter log --json | jq -e --arg user "$(id -un)" '.changes[-1] | .how == "rollback" and .who == $user' > /dev/null ||
    fail "who went back"
code=0
ww_policy arbiter diff 2 3 > "$scratch/diff.out" || code=$?
((code == 1)) || fail "diff of two that differ ended with $code"
grep -qx -- '--- 2/contract.lua' "$scratch/diff.out" || fail "diff shows times that mean nothing: $(cat "$scratch/diff.out")"
grep -q '^-.*price_ppm = 400000' "$scratch/diff.out" && grep -q '^+.*price_ppm = 200000' "$scratch/diff.out" ||
    fail "diff says $(cat "$scratch/diff.out")"
code=0
ww_policy arbiter diff > "$scratch/diff.out" || code=$?
((code == 1)) && [[ $(grep -E '^(---|\+\+\+) [0-9a-z]+/' "$scratch/diff.out") == $'--- default/contract.lua\n+++ 2/contract.lua' ]] ||
    fail "diff of what is built in and in force ended with $code: $(cat "$scratch/diff.out")"
code=0
ww_policy arbiter diff 2 99 > "$scratch/diff.out" 2>&1 || code=$?
((code == 1)) && grep -q "not kept" "$scratch/diff.out" || fail "a generation that never was is compared"
ww_policy arbiter reload default --json | jq -e '.number == 4 and .tests > 0' > /dev/null || fail "the built-in set"
ww_policy arbiter diff > "$scratch/diff.out" 2>&1 || fail "diff of the built-in set: $(cat "$scratch/diff.out")"
grep -qx "There is no difference between the built-in set default and generation 4." "$scratch/diff.out" ||
    fail "diff says $(cat "$scratch/diff.out")"

code=0
ww_policy arbiter reload nosuch 2> "$scratch/reload.err" || code=$?
((code == 1)) && grep -q 'nosuch: neither a folder nor a built-in set' "$scratch/reload.err" ||
    fail "reload of no set: $code, $(cat "$scratch/reload.err")"

[[ $(ww_policy arbiter log --json | jq '[.changes[] | select(.current)] | length') == 1 ]] ||
    fail "not one entry of the log is in force: $(ww_policy arbiter log)"

step "what others would have decided"
ww_policy arbiter journal | has "market.stat .*decision = " || fail "journal: $(ww_policy arbiter journal)"
ww_policy arbiter replay default --since 1h > "$scratch/replay.out" || fail "replay"
grep -q "^0 of [0-9,]* decisions would be others" "$scratch/replay.out" || fail "replay says $(cat "$scratch/replay.out")"
printf 'return { stat = function() return { decision = "change", reason = "x" } end,\n%s }\n' \
    'fund = function() return { order = {} } end' > "$scratch/market.lua"
mkdir "$scratch/other" && mv "$scratch/market.lua" "$scratch/other/market.lua"
(cd "$scratch" && ww_policy arbiter replay other --json) > "$scratch/replay.out" || fail "replay of another set"
jq -e '.changed > 0 and .rules[0].at == "market.lua:1" and .rules[0].now == "change"' "$scratch/replay.out" \
    > /dev/null || fail "replay says $(cat "$scratch/replay.out")"

id=$(ww_policy arbiter journal --hook market.stat --json | jq -r '.decisions[-1].id')
ww_policy arbiter why "$id" > "$scratch/why.out" || fail "why"
grep -q "^decided at *market.lua:[0-9]" "$scratch/why.out" && grep -q "^hook *market.stat" "$scratch/why.out" ||
    fail "why says $(cat "$scratch/why.out")"
if ww_policy arbiter why ffff-0 > /dev/null 2>&1; then
    fail "a decision that never was is explained"
fi

step "a shadow"
ww_policy arbiter shadow "$scratch/other" | has "shadows from now on" || fail "shadow"
ww_policy arbiter shadow | has "shadows since" 2> /dev/null || fail "the shadow's difference"
ww_policy arbiter promote > "$scratch/promote.out" || fail "promote"
grep -q "generation 5 is in force" "$scratch/promote.out" || fail "promote says $(cat "$scratch/promote.out")"
if ww_policy arbiter drop > /dev/null 2>&1; then
    fail "a shadow that ended is dropped"
fi

step "the folder is replaced as a whole"
cp -r "$policies" "$scratch/policies.next"
sed -i 's/200000/100000/' "$scratch/policies.next/contract.lua"
mv "$policies" "$scratch/policies.old"
mv "$scratch/policies.next" "$policies"
wait_for 10 "the reload of another folder" is_number arbiter 6

step "what each rule has decided"
# looks: decisions of market.stat, whatever its rule; since: when the first rule was seen.
looks() {
    ww_policy arbiter rules --json | jq '[.rules[] | select(.hook == "market.stat") | .looks] | add'
}
since() {
    ww_policy arbiter rules --json | jq '[.rules[] | select(.hook == "market.stat") | .since_s] | min'
}
looks_before=$(looks) since_before=$(since)
((looks_before > 0)) || fail "no rule of market.stat has decided: $(ww_policy arbiter rules)"
ww_policy arbiter rules | has '^market.lua:[0-9]* *market.stat *[1-9]' || fail "rules says $(ww_policy arbiter rules)"
ww_policy arbiter rules --unused 0 > "$scratch/unused.out" || fail "rules --unused"
grep -q '^market.lua:[0-9]* *market.stat *never' "$scratch/unused.out" ||
    fail "rules --unused 0 says $(cat "$scratch/unused.out")"
ww_policy arbiter rules --unused 3 2>&1 | has 'in force for less than 3 days' || fail "rules --unused 3"
code=0
ww_policy arbiter rules --unused soon > /dev/null 2>&1 || code=$?
((code == 2)) || fail "--unused soon ended with $code"

step "a restart keeps the numbers"
node_stop provider
node_stop arbiter
node_start arbiter
wait_for 15 "the arbiter's start" is_ready arbiter
is_number arbiter 6 || fail "after a restart it is $(number_of arbiter)"
(($(looks) > looks_before)) || fail "after a restart rules have decided $(looks) times, before $looks_before"
[[ $(since) == "$since_before" ]] || fail "after a restart rules are watched since $(since), not $since_before"
put 50000
wait_for 10 "the reload after a restart" is_number arbiter 7
ww_policy arbiter log --json | jq -e '[.changes[].number] == [1, 2, 3, 2, 4, 5, 6, 7]' > /dev/null ||
    fail "the log: $(ww_policy arbiter log --json)"

step "what was given up is known after a restart, and doesn't come back by itself"
ww_policy arbiter rollback > /dev/null || fail "rollback to 6"
node_stop arbiter
node_start arbiter # with the files of 7, as there are no others
wait_for 15 "the arbiter's start" is_ready arbiter
is_number arbiter 7 || fail "after a restart it is $(number_of arbiter)"
grep -q "level=warn.*the policies in force are those that were given up before" "$scratch/arbiter.log" ||
    fail "nothing is said of it"
put 60000
wait_for 10 "the correction" is_number arbiter 8
put 50000
wait_for 10 "the refusal" grep -q "the files are those of policies that were given up" "$scratch/arbiter.log"
is_number arbiter 8 || fail "what was given up is in force"
ww_policy arbiter log | has "^ *7 .*given up" || fail "the log: $(ww_policy arbiter log)"
node_stop arbiter

step "a journal of 0 MiB: nothing is kept, and who asks for it hears so"
WW_POLICY_JOURNAL_MIB=0 node_start arbiter
wait_for 15 "the arbiter's start" is_ready arbiter
for question in journal "replay default" "shadow default" "why ffff-0"; do
    # shellcheck disable=SC2086 # words
    if ww_policy arbiter $question > "$scratch/off.out" 2>&1; then
        fail "$question without a journal: $(cat "$scratch/off.out")"
    fi
    grep -q policy.journal_mib "$scratch/off.out" || fail "$question says $(cat "$scratch/off.out")"
done
ww_policy arbiter rules | has '^market.lua:' || fail "without a journal nothing is decided: $(ww_policy arbiter rules)"
node_stop arbiter

step "a built-in set by its name, also where a folder has it"
mkdir "$scratch/named" && cp -r "$policies" "$scratch/named/strict"
cd "$scratch/named"
start_arbiter --policies strict --policy-thresholds most=6
strict=$("$program" policy check strict --json | jq -r .generation)
[[ $(status arbiter | jq -r .policy_generation) == "$strict" ]] || fail "the set strict is not in force: $(status arbiter)"
if grep -q "can't be watched" "$scratch/arbiter.log"; then fail "a name is watched as if it were a folder"; fi
ww_policy arbiter reload --json | jq -e .unchanged > /dev/null || fail "reload takes other files than the start"
ww_policy arbiter reload strict --json | jq -e .unchanged > /dev/null || fail "the name is a folder's"
ww_policy arbiter reload ./strict --json | jq -e '.unchanged | not' > /dev/null || fail "the folder is not taken"

step "thresholds and memory of a node"
mkdir "$scratch/around"
cat > "$scratch/around/contract.lua" << 'LUA'
local M = {}
function M.offer(request, ctx) return { decision = "accept", price_ppm = ctx.thresholds.most * 1 } end
function M.accept() return { decision = "accept" } end
function M.renew() return { decision = "ask" } end
function M.close() return { decision = "dispute" } end
return M
LUA
ww_policy arbiter try contract.offer --set "$scratch/around" --node --json | jq -e '.result.price_ppm == 6' > /dev/null ||
    fail "the node's thresholds are not seen"
ww_policy arbiter check "$scratch/around" --node > /dev/null 2>&1 || fail "check with the node's thresholds"
if "$program" policy check "$scratch/around" > /dev/null 2>&1; then fail "check without thresholds"; fi
node_stop arbiter
step "done"
