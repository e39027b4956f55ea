#!/bin/bash
# kill -9 of arbiter, provider and client under load: in each cycle one, two or all three of them, at
# random moments and in any order, started again in any order with what they had on disk. After each:
# the books verify, at rest and running, and hold what was granted to the last unit; each contract that
# a node held goes on, or ends; traffic goes on. In the end every contract is settled, void, or has had
# its dispute and verdict, and all that was paid is explained by what both sides signed.
# kill.sh [CYCLES [SEED [cut]]]: with "cut", each death takes along whatever was not synced.
. "$(dirname "$0")/lib.sh"

cycles=${1:-100}
RANDOM=${2:-11}
nodes=(arbiter provider client)
contract_bytes=8388608
silent_s=240 # a silent side has a minute of the arbiter's up-time, and two more after a restart

# looks_at NODE…: what their histories say now, since they may not be told of it again, and what they hold.
looks_at() {
    local name
    for name in "$@"; do
        jq -c --arg side "$name" '
            (.connections[].contracts[] | {side: "held", contract}),
            (.history[] | {side: $side, contract, bytes_up, bytes_down, proven_up, proven_down, clean, state, outcome})' \
            "$scratch/look.$name.json"
    done > "$scratch/look.jsonl"
    cat "$scratch/look.jsonl" >> "$scratch/seen.jsonl"
    held=$(jq -r 'select(.side == "held") | .contract' "$scratch/look.jsonl" | sort -u)
}

# The arbiter knows each contract held, or has the close of a node: that of both, and of nodes that have
# died since, if nobody has it any more. Then what was paid for it is looked at in the end.
is_accounted() {
    local known closing contract
    known=$(api client GET /v1/contracts) || return
    closing=$({ status client && status provider; } | jq -r '.history[] | select(.state == "closing") | .contract') ||
        return
    for contract in $held; do
        [[ $known == *"$contract"* || $closing != *"$contract"* ]] || return 1
    done
}

# Has what is ripe judged, as `ww dispute run` does; keeps the verdicts.
judge() {
    call arbiter dispute.run > "$scratch/run.json" 2> /dev/null || return 0
    jq -r '.verdicts[].verdict' "$scratch/run.json" >> "$scratch/verdicts"
    # A client that died stands by counts up to a second old, below receipts that it has signed since.
    local other
    other=$(jq -r '[.verdicts[] | select(.verdict | IN("no_fault", "client_fault") | not)][0].contract // empty' \
        "$scratch/run.json")
    [[ -z $other ]] || fail "honest sides were judged: $(call arbiter dispute.show "{\"contract\":\"$other\"}" ||
        cat "$scratch/run.json")"
}

verdicts() {
    sort "$scratch/verdicts" | uniq -c | tr -s ' \n' ' '
}

# Without a verdict the two get no contract, and a client is not ready.
is_back() {
    is_ready "$1" && return
    is_alive "$1" || fail "$1 has ended by itself"
    judge
    return 1
}

moved() {
    status client | jq '.bytes_up + .bytes_down + ([.connections[].contracts[] | .bytes_up + .bytes_down] | add // 0)'
}

more_moved() {
    (($(moved) > moved_before)) && return
    judge
    return 1
}

# A client misses a provider that died after 5 s. Every tenth cycle waits for traffic however long it takes;
# else the client is the next to die, while it still waits.
wait_for_traffic() {
    local until=$(($(now_ms) + 1000))
    is_missed=0
    if [[ $cycle == *0 ]]; then
        wait_for $silent_s "traffic in cycle $cycle" more_moved
    elif [[ " ${drawn[*]} " == *" provider "* && " ${drawn[*]} " != *" client "* ]]; then
        is_missed=1
        return
    fi
    while ! more_moved; do
        if (($(now_ms) >= until)); then
            is_missed=1
            return
        fi
        sleep 0.05
    done
    loaded=$((loaded + 1))
}

# Kills the nodes given in their order, each looked at just before.
kill_nodes() {
    local name looked=()
    for name in "$@"; do
        sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
        if [[ $name != arbiter ]]; then
            status "$name" > "$scratch/look.$name.json" || fail "$name does not answer"
            looked+=("$name")
        fi
        node_die "$name"
    done
    looks_at "${looked[@]}"
}

# Some of the nodes in any order.
draw() {
    local mask=$((RANDOM % 7 + 1)) index
    ((!is_missed)) || mask=$((mask | 4))
    drawn=()
    for index in 0 1 2; do
        ((!(mask >> index & 1))) || drawn+=("${nodes[index]}")
    done
    shuffle
}

# What is drawn, in another order. A subshell would not go on with the seed.
shuffle() {
    local index other name
    for ((index = ${#drawn[@]} - 1; index > 0; index--)); do
        other=$((RANDOM % (index + 1)))
        name=${drawn[index]}
        drawn[index]=${drawn[other]}
        drawn[other]=$name
    done
}

everything_ended() {
    judge
    status arbiter | jq -e '.contracts_open == 0 and .contracts_disputed == 0' || return 1
    status client | jq -e 'all(.history[]; .state != "closing")' || return 1
    status provider | jq -e 'all(.history[]; .state != "closing")'
}

wallet_sum() {
    call arbiter wallet.show | jq "[.wallets[] | select(.asset == \"usd\") | .$1 | tonumber] | add"
}

step "seed ${2:-11}, $cycles cycles${3:+, with power cuts}"
if [[ ${3:-} == cut ]]; then
    for name in "${nodes[@]}"; do
        loses_unsynced "$name"
    done
fi
start_arbiter --policies "$here/policies/kill"
join provider bobnet
join client alicenet
credit alicenet 100000000000
start_provider
start_client
start_origin
traffic_start endless --max 1048576 --total $((120 + cycles * 30)) --seed 3 \
    > "$scratch/endless.out" 2> "$scratch/endless.log"
touch "$scratch/verdicts"
moved_before=0 followed=0 loaded=0 drawn=()
declare -A deaths=([arbiter]=0 [provider]=0 [client]=0)
for ((cycle = 1; cycle <= cycles; cycle++)); do
    wait_for_traffic
    sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
    draw
    kill_nodes "${drawn[@]}"
    [[ " ${drawn[*]} " != *" arbiter "* ]] || check_books_offline
    shuffle
    for name in "${drawn[@]}"; do
        deaths[$name]=$((deaths[$name] + 1))
        node_start "$name"
    done
    for name in "${drawn[@]}"; do
        wait_for $silent_s "the start of $name in cycle $cycle, after the death of ${drawn[*]}" is_back "$name"
    done
    moved_before=$(moved)
    wait_for 15 "that each of ${held//$'\n'/ } is known or has ended, after the death of ${drawn[*]}," is_accounted
    followed=$((followed + $(wc -w <<< "$held")))
    check_books
    ((cycle % 10)) || step "$cycle cycles, $loaded under traffic, $followed held contracts found," \
        "deaths: arbiter ${deaths[arbiter]}, provider ${deaths[provider]}, client ${deaths[client]};" \
        "verdicts:$(verdicts)"
done
((loaded * 3 >= cycles)) || fail "only $loaded of $cycles cycles were under traffic"
wait_for $silent_s "traffic after the last cycle" more_moved
kill -TERM "$traffic_pid"
wait "$traffic_pid" 2> /dev/null || true
! grep -q wrong "$scratch/endless.log" || fail "wrong bytes: $(grep -m 3 wrong "$scratch/endless.log")"
call client contracts.end > /dev/null || fail "contracts.end"
wait_for $silent_s "the end of every contract" everything_ended
step "every contract has ended; verdicts:$(verdicts)"
check_books
[[ $(wallet_sum escrow) == 0 && $(wallet_sum dispute) == 0 ]] || fail "money is held for contracts that have ended"
[[ $(call arbiter ban.list | jq '.bans | length') == 0 ]] || fail "an honest side is banned"
for name in client provider; do
    status "$name" > "$scratch/look.$name.json" || fail "$name does not answer"
done
looks_at client provider
jq -s --argjson bytes $contract_bytes --argjson earned "$(wallet_sum earned)" -f "$here/kill.jq" \
    "$scratch/seen.jsonl" > "$scratch/sums.json" || fail "the samples make no sense"
step "$(jq -c 'del(.bad)' "$scratch/sums.json")"
jq -e '(.bad | length) == 0 and .low <= .earned and .earned <= .high' "$scratch/sums.json" > /dev/null ||
    fail "what was paid is not what was signed: $(jq -c . "$scratch/sums.json" | head -c 3000)"
node_stop client
node_stop provider
node_stop arbiter
check_books_offline
step "all held"
