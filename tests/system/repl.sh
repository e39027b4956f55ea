#!/usr/bin/env bash
# `ww repl` on nodes that run: expressions, files, pipes, JSON, exit codes, levels, Ctrl-C, and that a
# node goes on whatever is evaluated.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
unset WW_CONTROL WW_KEY WW_STATE WW_ARBITER NO_COLOR
out=$scratch/out err=$scratch/err

# repl CODE NODE ARGUMENT…: fails unless it ends with that code.
repl() {
    local expected=$1 node=$2 code=0
    shift 2
    timeout -k 2 40 "$program" repl --state "$scratch/$node" "$@" > "$out" 2> "$err" < "${input:-/dev/null}" ||
        code=$?
    [[ $code == "$expected" ]] ||
        fail "ww repl $node $*: exit code $code, not $expected: $(head -c 2000 "$out" "$err")"
}

# says FILE TEXT
says() {
    grep -qF -- "$2" "$1" || fail "'$2' is not in: $(head -c 2000 "$1")"
}

# gives NODE EXPRESSION TEXT
gives() {
    repl 0 "$1" -e "$2"
    [[ $(cat "$out") == "$3" ]] || fail "$2 on $1 gives $(cat "$out"), not $3"
}

start_all

step "expressions"
for node in arbiter provider client; do
    gives "$node" 'node.status().role' "\"$node\""
    gives "$node" '#contracts.list() > 0' true
    gives "$node" 'contracts.get(contracts.list()[1].contract).contract == contracts.list{limit = 1}[1].contract' true
    gives "$node" 'contracts.get(("0"):rep(32))' nil
    gives "$node" 'peers.get(peers.list()[1].peer).ready' true
    gives "$node" 'metrics.get("ww_ready"), metrics.list("process_")[1].type' $'1\n"gauge"'
    gives "$node" 'policy.generation() == node.status().policy_generation' true
    repl 0 "$node" -e 'x = 1' -e 'x + 1' -e 'node.config().state'
    [[ $(cat "$out") == $'2\n'"\"$scratch/$node\"" ]] || fail "names do not last: $(cat "$out")"
done
gives client 'paths.get(peers.list()[1].peer).kind' '"host"'
gives client 'flows.counts().open' 0
gives provider '#market.providers()' 0
gives arbiter 'market.providers()[1].node == peers.list()[1].peer or market.providers()[1].node == peers.list()[2].peer' true
gives arbiter 'wallets.list{network = "alicenet"}[1].name' '"alicenet"'
gives client 'wallets.mine().name, select(2, pcall(peers.get, 1)).code' $'"alicenet"\n"EINVAL"'

[[ $(call arbiter repl.ids '{"kind":"network","prefix":"al"}') == '{"ids":["alicenet"]}' ]] || fail "networks are not completed"
for kind in contract peer hook metric key; do
    call client repl.ids "{\"kind\":\"$kind\"}" | jq -e '.ids | length > 0' > /dev/null || fail "no $kind is completed"
done

step "what-if on a contract that is open; help on hooks; names say what they are"
for node in arbiter client provider; do
    gives "$node" 'local c = contracts.list()[1] local w = policy.what_if(c.contract) return w.terms.bytes == c.bytes, #w.cases > 5' $'true\ntrue'
    gives "$node" 'policy.what_if(contracts.list()[1].contract, { bytes = 5000000 }).terms.bytes' 5000000
done
repl 1 client -e 'policy.what_if(("0"):rep(32))'
says "$err" ENOTFOUND
repl 0 client -e 'help "contract.offer"' -e 'contracts.get' -e 'help(flows)' -e 'apropos "strikes"'
says "$out" 'price_nano_usd_per_gib (whole number'
says "$out" 'contracts.get(id)'
says "$out" 'flows.list([peer], [sort], [after], [limit])'
says "$out" '[hook]'

step "many sessions at once, each with its own level and names"
for session in $(seq 1 12); do
    "$program" repl --state "$scratch/arbiter" $( ((session % 2)) && echo --write odd) -e "mine = $session" -e 'sleep(0.3)' \
        -e 'mine, pcall(log.note, "from " .. mine)' > "$scratch/session.$session" 2>&1 &
    sessions[session]=$!
done
for session in "${!sessions[@]}"; do
    wait "${sessions[session]}" || fail "session $session: $(cat "$scratch/session.$session")"
    [[ $(head -n 2 "$scratch/session.$session" | tr '\n' ' ') == "$session $( ((session % 2)) && echo true || echo false) " ]] ||
        fail "session $session: $(cat "$scratch/session.$session")"
done
[[ $(grep -c 'room=repl msg="a note"' "$scratch/arbiter.log") == 6 ]] || fail "others have written, too"

step "flows: pages, bytes, and destinations for those who say why"
# open_flow: a connection through the client's proxy, that stays.
open_flow() {
    local line
    exec {flow}<> "/dev/tcp/127.0.0.1/$proxy_port"
    printf 'CONNECT localhost:%s HTTP/1.1\r\nHost: localhost\r\n\r\n' "$origin_port" >&"$flow"
    read -r -t 10 line <&"$flow"
    [[ $line == 'HTTP/1.1 200'* ]] || fail "CONNECT: $line"
    flows_open+=("$flow")
}
flows_open=()
gives client 'flows.list()' '{}'
open_flow
open_flow
open_flow
for node in client provider; do
    gives "$node" 'local all = flows.list() return #all, all[1].id - all[3].id, flows.list{limit = 2}[2].id == all[2].id, flows.list{after = all[2].id}[1].id == all[3].id' $'3\n2\ntrue\ntrue'
    gives "$node" 'local f = flows.list()[1] return f.state, f.protocol, f.verdict, f.name, f.bytes_up, f.last_ms - f.first_ms < 60000' \
        $'"stream"\n"tcp"\n"allow"\nnil\n0\ntrue'
    gives "$node" 'flows.list()[1].contract == contracts.list("current")[1].contract, #flows.list{peer = peers.list()[1].peer}, #flows.list{peer = node.status().node}' \
        $'true\n3\n0'
    repl 0 "$node" --write "ticket 9" -e 'local f = flows.list{limit = 1}[1] return f.name .. ":" .. f.port'
    [[ $(cat "$out") == "\"localhost:$origin_port\"" ]] || fail "the destination at the $node: $(cat "$out")"
done
for flow in "${flows_open[@]}"; do
    exec {flow}>&-
done
no_flows() {
    [[ $("$program" repl --state "$scratch/provider" -e '#flows.list()') == 0 ]]
}
wait_for 10 "the end of the flows" no_flows

step "JSON, files, pipes, and what goes wrong"
repl 0 arbiter --json -e 'contracts.list()' -e '{}, "x"'
jq -s -e 'length == 3 and .[0].version == 1 and (.[0].value | length) > 0 and .[2].value == "x"' "$out" > /dev/null ||
    fail "not JSON: $(cat "$out")"
printf '#!/usr/bin/env ww\nlocal list = peers.list()\nfor _, peer in ipairs(list) do\n  print(peer.ready)\nend\nreturn #list\n' > "$scratch/file.lua"
repl 0 arbiter -f "$scratch/file.lua"
[[ $(cat "$out") == $'true\ntrue\n2' ]] || fail "the file gives $(cat "$out")"
printf 'y = {\n1,\n2 }\n#y\n\\json\ny\n\\quit\nnonsense(\n' > "$scratch/pipe"
input=$scratch/pipe repl 0 client
[[ $(cat "$out") == $'2\n{"value":[1,2],"version":1}' ]] || fail "the pipe gives $(cat "$out")"
repl 1 arbiter -e 'nothing.here' -e '"not reached"'
says "$err" "attempt to index global 'nothing'"
[[ ! -s $out ]] || fail "it went on after an error"
repl 1 arbiter -e 'for x'
says "$err" "That is not Lua"
repl 1 arbiter --json -e 'print'
jq -e '.error.code == "EINVAL"' "$out" > /dev/null || fail "no JSON error"
repl 1 arbiter -e '\nonsense'
repl 1 arbiter -f "$scratch/absent.lua"
repl 2 arbiter --bogus
repl 69 nowhere -e 1
says "$err" "No node runs there"

step "traces"
repl 0 client -e 'trace.list()' -e 'trace.peer(peers.list()[1].peer)' -e 'sleep(0)'
"$program" repl --state "$scratch/arbiter" --json -e 'trace.hook("contract.offer")' \
    -e 'for _, peer in ipairs(peers.list()) do trace.peer(peer.peer) end' -e '"ready"' -e 'sleep(60)' \
    > "$scratch/trace" 2> "$scratch/trace.log" &
tracer=$!
wait_for 10 "the trace's start" grep -q ready "$scratch/trace"
repl 0 client --write "a new contract" -e 'peers.drop(peers.list()[1].peer).dropped'
wait_for 20 "traced decisions" grep -q '"kind":"hook","name"' "$scratch/trace"
wait_for 20 "the end of the new contract's making" grep -q '"name":"POST /v1/contracts/…/opened"' "$scratch/trace"
kill -INT "$tracer"
code=0
wait "$tracer" || code=$?
[[ $code == 130 ]] || fail "the trace ended with $code: $(cat "$scratch/trace.log")"
jq -s -e 'map(select(.event == "trace")) | any(.kind == "hook" and .name == "contract.offer" and
    (.values.input | test("bytes = ")) and (.values.result | test("accept"))) and any(.kind == "request") and
    any(.kind == "push" and .name == "offer") and any(.kind == "call" and .name == "arbiter.close") and
    any(.kind == "answer" and .name == "arbiter.request" and .values.token == "…") and
    all(.. | strings; test("token\":\"[^…]|[0-9a-f]{32}|127\\.0\\.0\\.1|candidate") | not)' "$scratch/trace" > /dev/null ||
    fail "the trace lacks something: $(cut -c 1-300 "$scratch/trace")"
gives arbiter 'trace.list()' '{}'
wait_for 15 "the client's next contract" is_ready client

step "levels, reasons and what was set by hand"
repl 1 provider -e 'log.set("debug")'
says "$err" '\write REASON'
repl 0 provider -e '\write ticket 4711' -e 'log.set("debug")' -e 'delta()'
says "$out" 'return { log_level = "debug" }'
grep -q 'room=repl .*call=log.set .*reason="ticket 4711"' "$scratch/provider.log" || fail "the log has no reason"
gives provider 'log.level()' '"debug"'
repl 0 provider --write "fewer" -e 'node.set("max_contracts", 3)' -e 'node.status().contracts_max' -e 'node.set("max_contracts", 256)'
says "$out" '{ before = 256, name = "max_contracts", now = 3 }'
[[ $(sed -n 2p "$out") == 3 ]] || fail "the limit is not in force: $(cat "$out")"
repl 0 arbiter --write "dearer" -e 'node.set("market.price_nano_usd_per_gib", "200000000")' \
    -e 'market.update().changed, market.stat().price_nano_usd_per_gib' -e 'delta()'
says "$out" '"200000000"'
says "$out" 'return { market = { price_nano_usd_per_gib = "200000000" } }'
repl 0 arbiter --write "as before" -e 'node.set("market.price_nano_usd_per_gib", "100000000")' \
    -e 'market.update()' -e 'node.set("disputes.run_s", 30)' -e 'node.set("market.rates", { usd = "5" })'
repl 0 arbiter -e 'delta()'
says "$out" 'disputes = { run_s = 30 }'
says "$out" 'rates = { usd = "5" }'
repl 1 arbiter --write "nonsense" -e 'node.set("market.rates", {})'
repl 1 provider -e 'log.set("info")'
repl 0 provider --write back -e 'node.set("log_level", "info")' -e 'delta()' -e '\read' -e 'pcall(log.set, "debug")'
says "$out" 'nothing was set by hand'
says "$out" 'EPERM'
node_stop provider
node_start provider provider --key "$scratch/keys/provider/key" --arbiter "$join_line" --loopback --repl-level read
wait_for 15 "the provider's start" is_ready provider
repl 1 provider --write "I may not"
says "$err" repl_level

step "policies are reloaded, rolled back, replayed"
gives arbiter 'policy.log().current' 1
repl 1 arbiter -e 'policy.reload("strict")'
repl 0 arbiter --write "stricter" -e 'policy.reload("strict") ~= nil' -e 'policy.log().current'
[[ $(tail -n 1 "$out") == 2 ]] || fail "nothing was reloaded: $(cat "$out")"
gives arbiter 'policy.log().changes[2].who' '"ww repl - stricter"'
repl 0 arbiter --write "not so strict" -e 'policy.rollback() ~= nil' -e 'policy.log().current'
[[ $(tail -n 1 "$out") == 1 ]] || fail "nothing was rolled back: $(cat "$out")"
gives arbiter 'policy.journal("contract.offer", 1)[1].hook, policy.replay("strict").faults' $'"contract.offer"\n0'
gives arbiter 'why(policy.journal("contract.offer", 1)[1].id).hook' '"contract.offer"'
call arbiter repl.ids '{"kind":"decision"}' | jq -e '.ids | length > 0' > /dev/null || fail "no decision is completed"
repl 0 arbiter --write "beside" -e 'policy.shadow("strict") ~= nil' -e 'policy.shadowed() ~= nil' -e 'policy.drop() ~= nil'
[[ $(cat "$out") == $'true\ntrue\ntrue' ]] || fail "the shadow: $(cat "$out")"
repl 1 arbiter --write "wrong" -e 'policy.reload("/nowhere/at/all")'

step "networks, disputes and bans"
gives arbiter 'networks.list("bob")[1].name, #networks.list(), networks.get("alicenet").nodes, networks.get("nobody")' \
    $'"bobnet"\n2\n1\nnil'
repl 0 arbiter --write "a backup" -e "ledger.backup('$scratch/books.backup')"
"$program" ledger verify --help > /dev/null && [[ -s $scratch/books.backup ]] || fail "no backup"
gives arbiter '#contracts.disputes(), select(2, pcall(contracts.dispute, ("0"):rep(32))).code' $'0\n"ENOTFOUND"'
repl 1 arbiter -e 'bans.add("bobnet", "a test")'
repl 0 arbiter --write "ticket 812" -e 'bans.add("alicenet")' -e 'contracts.judge(true).verdicts'
gives arbiter 'bans.list()[1].name, bans.list()[1].reason, bans.list()[1].node' $'"alicenet"\n"ticket 812"\nnil'
[[ $(call arbiter repl.ids '{"kind":"banned"}') == '{"ids":["alicenet"]}' ]] || fail "bans are not completed"
call arbiter repl.ids '{"kind":"party","prefix":"bob"}' | has bobnet || fail "who could be banned is not completed"
repl 0 arbiter --write "ticket 813" -e 'bans.lift("alicenet").name'
[[ $(cat "$out") == '"alicenet"' ]] || fail "lifted: $(cat "$out")"
grep -q 'call=bans.lift .*reason="ticket 813"' "$scratch/arbiter.log" || fail "the log has no reason of the lift"
gives arbiter 'bans.list()' '{}'
repl 1 arbiter --write "again" -e 'bans.lift("alicenet")'
says "$err" "there is no such ban"

step "a policy is tried, and what it decided becomes its test"
mkdir "$scratch/set"
cp "$here/../../policies/default"/*.lua "$scratch/set"
rm "$scratch/set/contract.test.lua"
repl 0 arbiter -e 'policy.try("contract.offer").decision' -e 'policy.try("contract.offer", { client = { strikes = 3 } })' \
    -e 'policy.try("match.rank").order[1] ~= nil' -e "\\save-test $scratch/set/contract.test.lua"
says "$out" '"accept"'
says "$out" 'decision = "refuse"'
"$program" policy test "$scratch/set" > "$scratch/tested" || fail "the saved tests fail: $(cat "$scratch/tested" "$scratch/set/contract.test.lua")"
sed -i 's/same(got.decision, "refuse")/same(got.decision, "accept")/' "$scratch/set/contract.test.lua"
! "$program" policy test "$scratch/set" > "$scratch/tested" || fail "the saved tests test nothing"
repl 1 arbiter -e 'policy.try("contract.offer")' -e "\\save-test $scratch/set/contract.test.lua"
says "$err" EEXIST
repl 1 arbiter -e 'policy.try("no.hook")'
repl 1 arbiter -e '\save-test x.test.lua'

step "a node goes on, whatever is evaluated"
for source in 'while true do end' 'while true do pcall(function() while true do end end) end' \
    'local x = "a" while true do x = x end'; do
    code=0
    timeout --preserve-status -s INT 1 "$program" repl --state "$scratch/arbiter" -e "$source" 2> "$err" || code=$?
    [[ $code == 130 ]] || fail "$source: exit code $code after Ctrl-C: $(cat "$err")"
    gives arbiter 'node.status().ready' true
done
repl 1 arbiter -e 'local t = {} for i = 1, 1e9 do t[i] = { i } end'
says "$err" "too much memory"
repl 1 arbiter -e '("x"):rep(1.5e9)'
says "$err" "too much memory"
gives arbiter 'node.status().ready' true

step "a session may be told to end the node"
repl 0 client --write "the end of the test" -e 'node.stop()'
wait "${pid[client]}" || fail "the client ended with $?"
unset "pid[client]"
node_stop provider
node_stop arbiter
step "all held"
