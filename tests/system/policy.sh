#!/usr/bin/env bash
# `ww policy check`, `test` and `try`: what an operator sees of a set without a node; each kind of
# fault with its file and line.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/page.sh"

out=$scratch/out err=$scratch/err
accept='return { decision = "accept" }'
rest='function M.accept() return { decision = "accept" } end
function M.renew() return { decision = "ask" } end
function M.close() return { decision = "settle" } end
return M'

# run CODE ARGUMENT…: `ww policy …`; fails unless it ends with that code.
run() {
    local expected=$1 code=0
    shift
    timeout -k 2 40 "$program" policy "$@" > "$out" 2> "$err" < /dev/null || code=$?
    [[ $code == "$expected" ]] || fail "ww policy $*: exit code $code, not $expected: $(head -c 2000 "$out" "$err")"
}

# holds FILTER: the JSON that was printed is so.
holds() {
    jq -e "$1" "$out" > /dev/null || fail "not so: $1: $(head -c 2000 "$out")"
}

# set_of NAME [BODY [BEFORE]]: a folder with a contract.lua, whose offer has the body on line 3.
set_of() {
    mkdir -p "$scratch/$1"
    printf 'local M = {} %s\nfunction M.offer(request, ctx)\n%s\nend\n%s\n' "${3:-}" \
        "${2:-$accept}" "$rest" > "$scratch/$1/contract.lua"
}

step "the built-in set holds"
run 0 check --json
holds '.ok and .kind == null and .hooks > 8 and .tests > 30 and (.generation | length) == 52'
holds '(.faults | length) == 0 and (.warnings | length) == 0'
run 0 test
grep -q '^ok: [0-9]* tests$' "$out" || fail "$(cat "$out")"
run 0 try contract.offer
[[ $(wc -l < "$out") == 1 ]] || fail "not one line: $(cat "$out")"
grep -q '^contract.offer: { decision = "accept", ' "$out" || fail "$(cat "$out")"

for name in strict generous; do
    run 0 check "$name" --json
    holds '.ok and .hooks == 16 and .tests > 20 and (.warnings | length) == 0'
done
run 0 try extender.share --set strict --json
holds '.result.share_ppm == 50000'
run 0 try extender.share --set generous --json
holds '.result.share_ppm == 100000'

step "a built-in set's name is no folder's"
set_of strict 'return { decision = "refuse" }'
(cd "$scratch" && run 0 try contract.offer --set strict --json)
holds '.decision == "accept"'
(cd "$scratch" && run 0 check strict --json)
holds '(.warnings | length) == 0 and .tests < 40'
(cd "$scratch" && run 0 try contract.offer --set ./strict --json)
holds '.decision == "refuse"'

step "thresholds and memory, from files"
set_of around 'if ctx.thresholds.most < 5 then return { decision = "refuse", reason = "few" } end
if (ctx.memory.seen or 0) > 3 then return { decision = "refuse", reason = "seen" } end
return { decision = "accept", reason = "fine" }'
printf '{"most": 4}' > "$scratch/few.json"
printf '{ most = 7 }' > "$scratch/many.lua"
printf '{ ["contract.offer"] = { seen = 4 }, ["contract.close"] = { seen = "x" } }' > "$scratch/memory.lua"
printf '{"ctx": {"thresholds": {"most": 9}}}' > "$scratch/input.json"
run 1 check "$scratch/around" --json
holds '.faults[0].kind == "runtime" and .faults[0].line == 3'
run 0 check "$scratch/around" --thresholds "$scratch/many.lua" --memory "$scratch/memory.lua"
run 0 try contract.offer --set "$scratch/around" --thresholds "$scratch/few.json" --json
holds '.result.reason == "few"'
run 0 try contract.offer --set "$scratch/around" --thresholds "$scratch/few.json" --input "$scratch/input.json" --json
holds '.result.reason == "fine"' # the input knows better
run 0 try contract.offer --set "$scratch/around" --thresholds "$scratch/many.lua" --memory "$scratch/memory.lua" --json
holds '.result.reason == "seen"'
run 0 trace contract --set "$scratch/around" --thresholds "$scratch/few.json" --json
holds '[.steps[] | select(.hook == "contract.offer") | .reason] == ["few"]'
run 1 try contract.offer --set "$scratch/around" --thresholds "$scratch/memory.lua"
grep -q 'thresholds or memory of contract.offer: .*whole numbers' "$err" || fail "$(cat "$err")"
run 1 try contract.offer --set "$scratch/around" --memory "$scratch/many.lua"
grep -q 'memory is a table by hook' "$err" || fail "$(cat "$err")"
run 69 check "$scratch/around" --node --state "$scratch/nobody"

step "numbers of a contract that there can't be"
run 1 what-if --bytes 0
grep -q 'why: bytes: a contract has 1 byte at least' "$err" || fail "$(cat "$err")"
run 1 what-if --bytes 100 --proven 200
grep -q 'why: proven: no more than' "$err" || fail "$(cat "$err")"
run 1 what-if --window 5GiB
grep -q 'why: window: ' "$err" || fail "$(cat "$err")"

step "a set without tests is taken, with a warning"
set_of good
run 0 check "$scratch/good" --json
holds '.ok and .warnings == [{file: "contract.lua", reason: "there is no contract.test.lua"}]'
run 0 check "$scratch/good"
grep -q 'warning: contract.lua' "$err" || fail "$(cat "$err")"
mkdir "$scratch/empty"
run 0 check "$scratch/empty" --json
holds '.ok and .warnings[0].reason == "there is no policy in it; the default set decides"'

step "each kind of fault, with its place"
# refused NAME KIND LINE FILE: check and try both say so.
refused() {
    run 1 check "$scratch/$1" --json
    holds ".kind == \"$2\" and (.ok | not) and .faults[0].kind == \"$2\" and .faults[0].line == $3"
    holds ".faults[0].file == \"$4\" and (.faults[0].reason | length) > 0 and .generation == null"
    run 1 check "$scratch/$1"
    grep -q "^$4:.* \[$2\]$" "$out" || fail "$(cat "$out")"
    [[ ${5:-} == check ]] && return
    run 1 try contract.offer --set "$scratch/$1" --json
    holds ".kind == \"$2\" and (.ok | not) and .file == \"$4\" and .line == $3"
    run 1 try contract.offer --set "$scratch/$1"
    [[ $(wc -l < "$out") == 1 ]] || fail "not one line: $(cat "$out")"
}
set_of syntax 'return = 1'
refused syntax syntax 3 contract.lua
set_of load '' 'error("no")'
refused load load 1 contract.lua
mkdir "$scratch/missing"
echo 'return { offer = function() return { decision = "accept" } end }' > "$scratch/missing/contract.lua"
refused missing missing null contract.lua
set_of runtime 'return request.nothing.more'
refused runtime runtime 3 contract.lua
set_of budget 'while true do end'
refused budget budget 3 contract.lua
set_of memory 'local t = {} for i = 1, 1e9 do t[i] = i end'
refused memory memory null contract.lua
set_of result 'return { decision = "maybe" }'
refused result result null contract.lua
set_of impure 'n = n + 1 return { decision = "accept", bytes = n }' 'local n = 0'
refused impure impure null contract.lua
set_of test
echo 'test("x", function() same(1, 2) end)' > "$scratch/test/contract.test.lua"
refused test test 1 contract.test.lua check
run 1 test "$scratch/test" --json
holds '.kind == "test" and (.faults | length) == 1'
mkdir "$scratch/large"
truncate -s 100M "$scratch/large/contract.lua"
refused large load null contract.lua
set_of bytecode
printf '\033LJ\002' > "$scratch/bytecode/contract.lua"
refused bytecode syntax 1 contract.lua
mkdir "$scratch/strange"
echo 'return {}' > "$scratch/strange/My-Rules.lua"
refused strange load null My-Rules.lua

step "every fault is named, not only the first"
set_of many 'return { decision = "maybe" }'
echo 'return = 1' > "$scratch/many/path.lua"
printf 'test("a", function() same(1, 2) end)\ntest("b", function() end)\ntest("c", function() error("no") end)\n' \
    > "$scratch/many/contract.test.lua"
run 1 check "$scratch/many" --json
holds '[.faults[] | [.file, .kind, .line]] == [["contract.lua", "result", null], ["path.lua", "syntax", 1],
    ["contract.test.lua", "test", 1], ["contract.test.lua", "test", 3]]'

step "globals are found where no test goes"
set_of globals 'if request.bytes == 77 then return { decision = os.time() } end
if request.bytes == 78 then function helper() return math.max(unset, 1) end end
return { decision = "accept" }'
run 1 check "$scratch/globals" --json
holds '[.faults[] | [.line, .kind]] == [[3, "runtime"], [4, "runtime"], [4, "runtime"]]'
holds "[.faults[].reason] | (.[0] | contains(\"'os'\")) and any(contains(\"'unset'\")) and any(contains(\"'helper'\"))"

step "a contract that there is not, through every hook"
run 0 trace contract --json
holds '[.steps[].hook] == ["match.rank", "contract.renew", "contract.offer", "market.fund", "contract.accept",
    "path.choose", "contract.close"] and all(.steps[]; .at and .instructions > 0)'
holds '(.ended.paid | tonumber) + (.ended.back | tonumber) == 400000000'
# What one hook answers is given to the next: bytes, discount, window.
mkdir "$scratch/chain"
cat > "$scratch/chain/contract.lua" << 'EOF'
local M = {}
function M.renew() return { decision = "ask", bytes = 5000 } end
function M.offer(request)
    return { decision = "accept", bytes = request.bytes - 1000, price_ppm = 500000 }
end
function M.accept(request)
    return { decision = "accept", window_bytes = 65536, reason = request.bytes .. " " .. request.price_ppm }
end
function M.close() return { decision = "dispute" } end
return M
EOF
run 0 trace contract --set "$scratch/chain" --json
holds '.steps[3].input | contains("bytes = 2000,")'
holds '.steps[4].reason == "4000 500000" and .steps[4].at == "contract.lua:7"'
holds '.steps[-1].hook == "dispute.judge" and .steps[-1].decision == "no_fault" and .ended.used == 2000'
holds '.steps[-1].input | contains("window_bytes = 65536")'
echo '{"client": {"strikes": 7}, "bytes": 9}' > "$scratch/trace.json"
run 0 trace contract --input "$scratch/trace.json" --json
holds '.stopped == "the contract is refused" and (.steps | length) == 2 and .steps[-1].decision == "refuse"'
echo '{"hooks": {"contract.accept": {"max_contracts": 0}}, "provider_silent": true}' > "$scratch/trace.json"
run 0 trace contract --input "$scratch/trace.json"
grep -q '^It ends here: the provider declines.$' "$out" || fail "$(cat "$out")"
run 1 trace contract --set "$scratch/runtime" --json
holds '.steps[2].kind == "runtime" and .stopped == "the contract is refused"'
run 0 trace flow
[[ $(grep -c '^flow.verdict' "$out") == 2 ]] || fail "$(cat "$out")"
grep -q '^It is opened.$' "$out" || fail "$(cat "$out")"
echo '{"prt": 1}' > "$scratch/trace.json"
run 1 trace flow --input "$scratch/trace.json"
grep -q "did you mean port" "$err" || fail "$(cat "$err")"

step "what no test reaches"
run 0 coverage --json
holds '.ok and .rules > 30 and .tries > 1000 and .untested == []'
mkdir "$scratch/covered"
cat > "$scratch/covered/contract.lua" << 'EOF'
local M = {}
function M.offer(request)
    if request.client.strikes > 6 then
        return { decision = "refuse" }
    elseif request.bytes == 77 * MiB then
        return { decision = "refuse", reason = "no test" }
    elseif request.client.strikes > 9 then
        return { decision = "refuse", reason = "shadowed" }
    end
    return { decision = "accept" }
end
function M.accept() return { decision = "accept" } end
function M.renew() return { decision = "ask" } end
function M.close() return { decision = "settle" } end
return M
EOF
cat > "$scratch/covered/contract.test.lua" << 'EOF'
test("strikes", function() same(try("contract.offer", { client = { strikes = 7 } }).decision, "refuse") end)
test("others", function()
    for _, hook in ipairs({ "offer", "accept", "renew", "close" }) do try("contract." .. hook) end
end)
EOF
run 0 coverage "$scratch/covered" --json
holds '.rules == 7 and [.untested[] | [.at, .hook, .reached]] ==
    [["contract.lua:6", "contract.offer", true], ["contract.lua:8", "contract.offer", false]]'
run 0 coverage "$scratch/covered"
grep -q '^contract.lua:8: contract.offer: no test gets here, nor' "$out" || fail "$(cat "$out")"
grep -q '^5 of 7 rules are tested' "$out" || fail "$(cat "$out")"
run 1 coverage "$scratch/test" --json
holds '.faults[0].kind == "test"'

step "who is paid what"
run 0 what-if --bytes 20000000 --carried 5000000 --proven 4000000 --client 4900000 --provider 5000000 --json
holds '.cases[0].used == 5000000 and .cases[1].name == "as you say" and .cases[1].verdict == "no_fault"'
holds 'all(.cases[] | select(.liar_gains_bytes and .name != "client claims its receipts only" and
    .name != "provider claims a window too much"); .liar_gains_bytes <= 0)'
holds '[.cases[] | select(.name == "client signs two closes") | .verdict, .used] == ["client_malicious", 20000000]'
holds '.cases[] | select(.name == "client is silent") | (.verdicts | length) == 4 and .waited_s == 86460'
holds 'all(.cases[] | (.paid | tonumber) + (.back | tonumber); . == 1862646)'
mkdir "$scratch/failing"
echo 'return { judge = function() error("x") end }' > "$scratch/failing/dispute.lua"
run 1 what-if --set "$scratch/failing"
grep -q 'undecided (fault: runtime)' "$out" || fail "a judge that fails is not told: $(cat "$out")"
run 0 what-if --verdicts
grep -q '^  [*] client_fault' "$out" || fail "$(cat "$out")"
run 1 what-if --bytes 10 --proven 11

step "inputs"
echo '{"relation": "own", "client": {"strikes": 7}, "ctx": {"now_s": 5}}' > "$scratch/own.json"
run 0 try contract.offer --input "$scratch/own.json" --json
holds '.ok and .decision == "accept" and .result.price_ppm == 0 and .input.client.strikes == 7'
holds '.instructions > 0 and .input.bytes == 1073741824'
echo 'return { client = { strikes = 3 } }' > "$scratch/strikes.lua"
run 0 try contract.offer --input "$scratch/strikes.lua" --json
holds '.ok and .decision == "refuse"'
set_of context 'return { decision = "accept", reason = ctx.now_s .. " " .. ctx.thresholds.floor }'
echo '{"ctx": {"now_s": 5, "thresholds": {"floor": 9}}}' > "$scratch/ctx.json"
run 0 try contract.offer --set "$scratch/context" --input "$scratch/ctx.json" --json
holds '.result.reason == "5 9"'
echo '{"providers": [{"node_id": "a"}, {"node_id": "b", "score_ppm": 1000000}]}' > "$scratch/rank.json"
run 0 try match.rank --input "$scratch/rank.json" --json
holds '.result.order == ["b", "a"]'
echo '{"byte": 1}' > "$scratch/bad.json"
run 1 try contract.offer --input "$scratch/bad.json" --json
holds '.error.code == "EINVAL" and (.error.reason | contains("byte: there is no such field"))'

step "what isn't there"
run 1 try contract.ofer
grep -q 'did you mean contract.offer' "$err" || fail "$(cat "$err")"
run 1 check "$scratch/nowhere" --json
holds '.error.code == "ENOTFOUND"'
run 1 try contract.offer --input "$scratch/nowhere"
run 2 chek

step "docs/policies/testing.md says what happens"
page=$here/../../docs/policies/testing.md
mkdir "$scratch/rules"
block lua 1 > "$scratch/rules/flow.lua"
block lua 2 > "$scratch/rules/flow.test.lua"
replay 1
sed -i 's/"deny"/"deni"/' "$scratch/rules/flow.lua"
replay 2

step "the same count in every process"
for _ in 1 2 3 4 5; do
    run 0 try market.stat --json
    jq .instructions "$out"
done | sort -u > "$scratch/counts"
[[ $(wc -l < "$scratch/counts") == 1 ]] || fail "$(cat "$scratch/counts")"
step "done"
