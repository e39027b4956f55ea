#!/bin/bash
# No memory is left for a node's Lua, at some moment of running traffic: the node ends with 75 at once, and
# has lost nothing when it is started again. starved.sh [SEED]
. "$(dirname "$0")/lib.sh"

RANDOM=${1:-5}
step "seed ${1:-5}"
start_arbiter --policies "$here/policies/small"
join provider bobnet
join client alicenet
credit alicenet 100000000000
start_provider
start_client
start_origin
traffic_start endless --max 1048576 --total 300 --seed 3 > "$scratch/endless.out" 2> "$scratch/endless.log"

# Asking for its status takes memory, too.
has_ended() {
    status "$1"
    ! is_alive "$1"
}

# Without a verdict on what a dead client left, it gets no contract.
is_back() {
    is_ready "$1" && return
    call arbiter dispute.run
    return 1
}

for name in arbiter provider client; do
    node_stop "$name" 10
    # A node has started, and is busy, after some 30,000.
    fails_at=$((40000 + RANDOM))
    rigged "$name" WW_LUA_FAILS_AT="$fails_at"
    node_start "$name"
    wait_for 60 "the end of $name at its allocation $fails_at" has_ended "$name"
    code=0
    wait "${pid[$name]}" || code=$?
    unset "pid[$name]" "node_program[$name]"
    ((code == 75)) || fail "$name ended with $code"
    grep -q "no memory is left for Lua" "$scratch/$name.log" || fail "$name did not say why"
    [[ $name != arbiter ]] || check_books_offline
    node_start "$name"
    wait_for 60 "the start of $name" is_back "$name"
    wait_for 60 "a contract after the end of $name" is_back client
    check_books
    step "$name ended at its allocation $fails_at, and came back"
done
kill -TERM "$traffic_pid"
wait "$traffic_pid" 2> /dev/null || true
! grep -q wrong "$scratch/endless.log" || fail "wrong bytes: $(grep -m 3 wrong "$scratch/endless.log")"
node_stop client
node_stop provider
node_stop arbiter
check_books_offline
step "all held"
