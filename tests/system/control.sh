#!/usr/bin/env bash
# A control socket that is not treated well: another user, garbage, lines of 10 MB, 200 sessions, a
# session that never reads. The node goes on, answers others, and stays as large as it is.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
unset WW_CONTROL WW_KEY WW_STATE WW_ARBITER
abuse=$tools/system_control_abuse

# see WHAT ARGUMENT…: what the tool says of an arbiter's socket.
see() {
    timeout 60 "$abuse" "$scratch/arbiter/control.sock" "$@"
}

answers() {
    is_alive arbiter || fail "the arbiter has ended"
    [[ $("$program" repl --state "$scratch/arbiter" -e 'node.status().ready') == true ]] ||
        fail "the arbiter does not answer"
}

start_arbiter
[[ $(stat -c %a "$scratch/arbiter/control.sock") == 600 ]] || fail "others may open the socket"

step "another user is refused"
if (($(id -u) == 0)); then
    chmod 711 "$scratch" "$scratch/arbiter"
    as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    code=0
    "${as_nobody[@]}" "$abuse" "$scratch/arbiter/control.sock" sessions 1 > "$scratch/out" || code=$?
    [[ $code == 3 ]] && grep -q 'Permission denied' "$scratch/out" || fail "the mode lets others in: $(cat "$scratch/out")"
    chmod 666 "$scratch/arbiter/control.sock"
    said=$("${as_nobody[@]}" "$abuse" "$scratch/arbiter/control.sock" sessions 1)
    [[ $said == "answered 0 closed 1" ]] || fail "the uid lets others in: $said"
    grep -q 'a control session was refused' "$scratch/arbiter.log" || fail "the log says nothing of it"
    chmod 600 "$scratch/arbiter/control.sock"
fi
answers

step "a line of 10 MB is answered with ETOOBIG, and the session closed"
said=$(see stream 10000000)
[[ $said == *closed*ETOOBIG* ]] || fail "it says: $said"
answers

step "garbage"
see garbage 1 200
answers

step "200 sessions: 32 are served, the others closed"
said=$(see sessions 200)
[[ $said == "answered 32 closed 168" ]] || fail "it says: $said"
answers

step "a session that never reads is closed when its queue is full, and the node stays small"
before=$(rss_kib arbiter)
for _ in 1 2 3; do
    said=$(see deaf '{"id":1,"method":"repl.call","params":{"call":"metrics.list"}}')
    [[ $said == *closed ]] || fail "it says: $said"
    answers
done
grew=$(($(rss_kib arbiter) - before))
((grew < 65536)) || fail "the arbiter grew by $grew KiB"
step "the arbiter grew by $grew KiB"

step "a trace that nobody reads costs what is queued of it, and others are served"
"$program" repl --state "$scratch/arbiter" -e 'trace.hook("match.rank")' > /dev/null
said=$(see deaf '{"id":1,"method":"repl.call","params":{"call":"trace.hook","args":{"name":"market.stat"}}}')
[[ $said == *closed ]] || fail "it says: $said"
answers
node_stop arbiter
step "all held"
