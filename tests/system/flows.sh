#!/usr/bin/env bash
# What a user sees and controls: `ww flows` shows the streams of the proxy, block ends them and refuses
# new ones, also after a restart; the footprint is what was carried.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_all
flows() {
    "$program" flows --state "$scratch/client" "$@"
}
footprint() {
    "$program" footprint --state "$scratch/client" "$@"
}

out=$(traffic many --count 8 --max 65536 --seed 1) || fail "$out"
# opens a CONNECT through the proxy on descriptor 3; its answer is in line.
connect() {
    exec 3<> "/dev/tcp/127.0.0.1/$proxy_port"
    printf 'CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n' "$1" "$1" >&3
    IFS= read -r -t 20 line <&3 || fail "no answer for $1"
}
connect "LOCALHOST:$origin_port"
[[ $line == "HTTP/1.1 200"* ]] || fail "$line"
flows --json > "$scratch/flows.json"
[[ $(jq '[.flows[] | select(.name == "localhost" and .state == "stream" and .protocol == "tcp")]
    | length' "$scratch/flows.json") == 1 ]] || fail "$(cat "$scratch/flows.json")"
peer=$(jq -r '.flows[0].peer' "$scratch/flows.json")
[[ $peer == "$(status client | jq -r .provider)" ]] || fail "carried by $peer"
flows | has "^tcp *localhost *$origin_port " || fail "$(flows)"
"$program" flows --state "$scratch/client" --watch 0.2 > "$scratch/watched" &
watching=$!
wait_for 10 "two looks" eval '(($(grep -c localhost "$scratch/watched") >= 2))'
kill -TERM "$watching"
wait "$watching" || true
[[ $("$program" repl --state "$scratch/client" -e 'flows.list()[1].state, flows.list()[1].name') == $'"stream"\nnil' ]] ||
    fail "$("$program" repl --state "$scratch/client" -e 'flows.list()[1]')"
step "seen"

"$program" client --geo "$scratch/flows.json" --state "$scratch/other" --key "$scratch/keys/client/key" \
    --arbiter "$join_line" --proxy 127.0.0.1:0 > "$scratch/out" 2>&1 && fail "that is no place"
grep -q "is no file of MaxMind's format" "$scratch/out" || fail "$(cat "$scratch/out")"
grep -q "fix: Correct what the reason says" "$scratch/out" || fail "$(cat "$scratch/out")"

# By address or name: what is open ends, what is new is refused.
flows block 203.0.113.0/24 2> /dev/null
flows block localhost.example 2> /dev/null
flows blocks | has "^203.0.113.0/24 *address" || fail "$(flows blocks)"
flows block "no/such thing" > "$scratch/out" 2>&1 && fail "blocked"
flows block 203.0.113.0/24 > "$scratch/out" 2>&1 && fail "blocked twice"
connect "www.localhost.example:443"
[[ $line == "HTTP/1.1 403"* ]] || fail "$line"
connect "203.0.113.9:443"
[[ $line == "HTTP/1.1 403"* ]] || fail "$line"
flows unblock localhost.example 2> /dev/null
connect "127.0.0.1:$origin_port"
[[ $line == "HTTP/1.1 200"* ]] || fail "$line"
flows block 127.0.0.0/8 2> /dev/null
# The open stream is reset: reading ends, without waiting for anything.
code=0
while { IFS= read -r -t 20 line 2> /dev/null <&3 || { code=$? && false; }; }; do :; done
((code > 0 && code < 128)) || fail "the stream went on"
wait_for 5 "no flow to it" eval '[[ $(flows --json | jq "[.flows[] | select(.address)] | length") == 0 ]]'
step "blocked"

node_stop client
node_start client
wait_for 20 "the client's start" is_ready client
connect "127.0.0.1:$origin_port"
[[ $line == "HTTP/1.1 403"* ]] || fail "after a restart: $line"
flows unblock 127.0.0.0/8 2> /dev/null
connect "127.0.0.1:$origin_port"
[[ $line == "HTTP/1.1 200"* ]] || fail "$line"
exec 3>&-
step "kept"

# What the footprint has is what the contracts carried, to the byte, both ways.
carried=$(status client | jq '[.bytes_up, .bytes_down] as $ended |
    [.connections[].contracts[]] | $ended[0] + $ended[1] + (map(.bytes_up + .bytes_down) | add)')
for unit in --hours --days; do
    footprint "$unit" 2 --json > "$scratch/footprint.json"
    counted=$(jq '[.rows[] | .up + .down] | add' "$scratch/footprint.json")
    ((counted > 100000)) || fail "$unit: $counted bytes"
done
((carried <= counted)) || fail "$counted bytes of at least $carried"
footprint --by provider --csv | has "^20..-..-..T..:00:00Z,$peer,[0-9]*,[0-9]*$" ||
    fail "$(footprint --by provider --csv)"
footprint 2> /dev/null | has "##########" || fail "$(footprint)"
# Over time: each hour has what its rows have together, whatever they are by.
footprint --hours 2 --json | jq -c '[.rows | group_by(.begin_s)[] | [.[0].begin_s, (map(.up) | add), (map(.down) | add)]]' > "$scratch/hours"
[[ $(footprint --hours 2 --by time --json | jq -c '[.rows[] | [.begin_s, .up, .down]]') == "$(cat "$scratch/hours")" ]] ||
    fail "$(footprint --by time --json), not $(cat "$scratch/hours")"
footprint --by time 2> /dev/null | has -E '^20..-..-.. ..:00 .*#####' || fail "$(footprint --by time)"
footprint --by time --days 3 --csv | has -E '^20..-..-..T00:00:00Z,[0-9]+,[0-9]+$' || fail "$(footprint --by time --days 3 --csv)"
# Switched off: nothing is added, what there was is still shown, and may be forgotten.
node_stop client
# Without a client, as its state has it, which stays as it is.
footprint --days 2 --json > "$scratch/stopped.json"
[[ $(jq '[.rows[] | .up + .down] | add' "$scratch/stopped.json") -ge $counted && $(jq -r .source "$scratch/stopped.json") == state ]] ||
    fail "of a client that doesn't run: $(cat "$scratch/stopped.json")"
[[ ! -e $scratch/client/node.footprint ]] || fail "a copy of the state is left"
footprint 2>&1 > /dev/null | has -x "No client runs: this is what its state has." || fail "$(footprint 2>&1)"
"$program" footprint --state "$scratch/nowhere" > "$scratch/out" 2>&1 && fail "the footprint of no client"
grep -q "No node runs there" "$scratch/out" || fail "$(cat "$scratch/out")"
node_args[client]+=' --no-footprint'
node_start client
wait_for 20 "the client's start" is_ready client
before=$(footprint --json | jq -c .rows)
connect "127.0.0.1:$origin_port"
[[ $line == "HTTP/1.1 200"* ]] || fail "without a footprint: $line"
exec 3>&-
wait_for 5 "no open flow" eval '[[ $(flows --json | jq .open) == 0 ]]'
[[ $(footprint --json | jq -c .rows) == "$before" && $before != '[]' ]] || fail "kept, although it is off: $(footprint --json)"
footprint 2>&1 | has "None is kept now" || fail "$(footprint 2>&1)"
footprint --forget 2> /dev/null
[[ $(footprint --json | jq '.rows | length') == 0 ]] || fail "$(footprint --json)"
"$program" footprint --state "$scratch/provider" > "$scratch/out" 2>&1 && fail "a provider's footprint"
grep -q "a provider keeps no footprint" "$scratch/out" || fail "$(cat "$scratch/out")"
node_stop client
node_stop provider
node_stop arbiter
step "counted, and forgotten"
