#!/usr/bin/env bash
# The flow policy of a provider and of a client: a destination that it denies is refused to the
# application, by the side that denied it; others go on. Answers are kept: the policy isn't asked
# for each connection.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

mkdir "$scratch/at-provider" "$scratch/at-client"
cat > "$scratch/at-provider/flow.lua" << 'LUA'
return {
    verdict = function(request)
        if request.host == "denied.example" then
            return { decision = "deny", reason = "not from here" }
        end
        return { decision = "allow", seconds = 3600 }
    end,
}
LUA
cat > "$scratch/at-client/flow.lua" << 'LUA'
return {
    verdict = function(request)
        if request.port == 81 then
            return { decision = "deny", reason = "not on this port" }
        end
        return { decision = "allow", seconds = 3600 }
    end,
}
LUA

start_arbiter
join provider bobnet
join client alicenet
credit alicenet 100000000000
start_provider --policies "$scratch/at-provider"
start_client --policies "$scratch/at-client"
start_origin
step "ready"

out=$(traffic many --count 32 --max 65536 --seed 1) || fail "$out"
# asked NODE: how often the policy was.
asked() {
    status "$1" | jq '.policy_hooks[] | select(.hook == "flow.verdict") | .calls'
}
[[ $(status client | jq .streams_opened) == 32 && $(asked provider) == 3 && $(asked client) == 3 ]] ||
    fail "for three names of one place, asked $(asked provider) and $(asked client) times"
step "allowed, and asked once: $out"

# refused HOST:PORT: by HTTP CONNECT; prints the status line.
refused() {
    local line
    exec 3<> "/dev/tcp/127.0.0.1/$proxy_port"
    printf 'CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n' "$1" "$1" >&3
    IFS= read -r -t 20 line <&3 || fail "no answer for $1"
    exec 3>&-
    [[ $line == "HTTP/1.1 403"* ]] || fail "$1: $line"
}
refused denied.example:443
[[ $(status provider | jq .flows_denied) == 1 && $(status client | jq .flows_denied) == 0 ]] ||
    fail "the provider denied $(status provider | jq .flows_denied)"
refused allowed.example:81
[[ $(status provider | jq .flows_denied) == 1 && $(status client | jq .flows_denied) == 1 ]] ||
    fail "the client denied $(status client | jq .flows_denied)"
step "denied by each side"

out=$(traffic many --count 32 --max 65536 --seed 2) || fail "$out"
[[ $(asked provider) == 4 && $(asked client) == 5 ]] ||
    fail "asked $(asked provider) and $(asked client) times"
# Rates: at the client for what goes out, at the provider for what comes back, whatever is faster. Each
# of the three names has a bucket of its own, that holds a quarter of a second.
for side in client provider; do
    cat > "$scratch/at-$side/flow.lua" << 'LUA'
return {
    verdict = function()
        return { decision = "limit", bytes_s = 400000, max_flows = 100, seconds = 3600 }
    end,
}
LUA
    call "$side" policy.reload > "$scratch/out" || fail "$(cat "$scratch/out")"
    out=$(traffic many --count 12 --max 131072 --seed 3) || fail "$out"
    jq -e '(.bytes_up + .bytes_down) / .seconds < 3 * 400000 * 1.5' <<< "$out" > "$scratch/out" ||
        fail "too fast: $out"
    step "limited by the $side: $out"
    echo 'return { verdict = function() return { decision = "allow" } end }' > "$scratch/at-$side/flow.lua"
    call "$side" policy.reload > "$scratch/out" || fail "$(cat "$scratch/out")"
    # … and so is what was opened before, at once.
    traffic_start many --count 3 --max 40000000 --seed 4 > "$scratch/running.json"
    sleep 0.1
    echo 'return { verdict = function() return { decision = "limit", bytes_s = 30000000 } end }' > "$scratch/at-$side/flow.lua"
    call "$side" policy.reload > "$scratch/out" || fail "$(cat "$scratch/out")"
    wait $traffic_pid || fail "$(cat "$scratch/running.json")"
    step "limited in mid-transfer: $(cat "$scratch/running.json")"
    jq -e '.seconds > 3' "$scratch/running.json" > "$scratch/out" || fail "what was open before goes on without a limit"
    echo 'return { verdict = function() return { decision = "allow" } end }' > "$scratch/at-$side/flow.lua"
    call "$side" policy.reload > "$scratch/out" || fail "$(cat "$scratch/out")"
done
# What is open is asked about again when the policies have changed, and ends when it is denied now.
for side in client provider; do
    exec 3<> "/dev/tcp/127.0.0.1/$proxy_port"
    printf 'CONNECT localhost:%s HTTP/1.1\r\nHost: localhost\r\n\r\n' "$origin_port" >&3
    IFS= read -r -t 20 line <&3 || fail "no answer"
    [[ $line == "HTTP/1.1 200"* ]] || fail "$line"
    echo 'return { verdict = function() return { decision = "deny" } end }' > "$scratch/at-$side/flow.lua"
    call "$side" policy.reload > "$scratch/out" || fail "$(cat "$scratch/out")"
    code=0
    while { IFS= read -r -t 20 line 2> /dev/null <&3 || { code=$? && false; }; }; do :; done
    ((code > 0 && code < 128)) || fail "the stream goes on, though the $side denies it"
    wait_for 5 "no flow" eval '[[ $(call "$side" flows.list | jq .open) == 0 ]]'
    echo 'return { verdict = function() return { decision = "allow" } end }' > "$scratch/at-$side/flow.lua"
    call "$side" policy.reload > "$scratch/out" || fail "$(cat "$scratch/out")"
    exec 3>&-
    step "a reload at the $side ends what it denies"
done
node_stop client
node_stop provider
node_stop arbiter
step "all held"
