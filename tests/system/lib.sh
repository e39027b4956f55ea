# Functions for system tests: nodes as processes on loopback, in a scratch folder, ended by their
# own process ids. Source it; SYSTEM_PROGRAM is the program, SYSTEM_TOOLS the folder of the tools.
# A test says what it does with `step`, and stops at the first thing that does not hold.
set -euo pipefail

program=${SYSTEM_PROGRAM:?the path of ww}
tools=${SYSTEM_TOOLS:?the folder of the test tools}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/ww-system.XXXXXX")
export HOME=$scratch/home XDG_STATE_HOME=$scratch/home/state
# A sanitizer's quarantine is not the program's memory; leaks are looked for at the end.
export ASAN_OPTIONS=${ASAN_OPTIONS:-quarantine_size_mb=16:detect_leaks=1:malloc_context_size=12}
mkdir -p "$HOME"
declare -A pid=() node_args=() node_program=()
origin_port='' join_line='' granted=0 started_s=$SECONDS

step() {
    printf '%4d s  %s\n' $((SECONDS - started_s)) "$*"
}

# Also heard from inside a condition of wait_for.
exec 9>&2
fail() {
    exec 2>&9
    printf 'FAILED: %s\n' "$*" >&2
    local log
    for log in "$scratch"/*.log; do
        [[ -s $log ]] || continue
        printf -- '--- the end of %s\n' "$(basename "$log")" >&2
        tail -n 40 "$log" >&2
    done
    for log in "${!pid[@]}"; do
        printf -- '--- the status of %s: %s\n' "$log" "$(status "$log" 2>&1 | head -c 6000)" >&2
    done
    exit 1
}

cleanup() {
    local status=$? name
    for name in "${!pid[@]}"; do
        kill -KILL "${pid[$name]}" 2> /dev/null || true
    done
    for name in $(jobs -p); do
        kill -KILL "$name" 2> /dev/null || true
    done
    wait 2> /dev/null || true
    if [[ -n ${SYSTEM_KEEP:-} ]]; then
        echo "kept: $scratch"
    else
        rm -rf "$scratch"
    fi
    exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# has FLAGS… PATTERN: what comes by a pipe has it. All of it is read: `grep -q` ends at the first match, and
# with pipefail a command that has more to write then has failed.
has() {
    local text
    text=$(cat)
    grep -q "$@" <<< "$text"
}

# wait_for SECONDS WHAT COMMAND…: until the command succeeds.
wait_for() {
    local limit=$1 what=$2 until
    shift 2
    until=$(($(now_ms) + limit * 1000))
    while ! "$@" > /dev/null 2>&1; do
        (($(now_ms) < until)) || fail "$what did not happen within $limit s"
        sleep 0.05
    done
}

now_ms() {
    local us=${EPOCHREALTIME/[.,]/}
    echo $((us / 1000))
}

free_port() {
    # Below the ephemeral range, so that no outgoing connection takes it meanwhile; and each is drawn in
    # turn, so that tests that run at once draw others.
    local port last turn drawn=${TMPDIR:-/tmp}/ww-system.port.$UID
    while :; do
        exec {turn}<> "$drawn"
        flock -w 20 "$turn" || fail "nobody may draw a port"
        read -r last <&"$turn" || last=$RANDOM
        port=$((20000 + (last + 1) % 10000))
        echo "$port" > "$drawn"
        exec {turn}>&-
        if ! (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then
            echo "$port"
            return
        fi
    done
}

# call NODE METHOD [PARAMS]: prints the result; fails with the error on stderr.
call() {
    local answer
    answer=$("$tools/system_control" "$scratch/$1/control.sock" "$2" "${3:-{\}}") || return 1
    # No jq here: it takes longer than the call, and tests ask often.
    if [[ $answer != '{"id":1,"result":'*'}' ]]; then
        echo "$answer" >&2
        return 1
    fi
    answer=${answer#'{"id":1,"result":'}
    printf '%s\n' "${answer%\}}"
}

status() {
    call "$1" status
}

is_ready() {
    [[ $(status "$1" | jq -r .ready) == true ]]
}

is_alive() {
    kill -0 "${pid[$1]}" 2> /dev/null
}

# node_start NAME ROLE FLAGS…: starts a process; node_start NAME starts it as before.
node_start() {
    local name=$1
    shift
    if (($# > 0)); then
        node_args[$name]=$(printf '%q ' "$@")
    fi
    local -a arguments
    eval "arguments=(${node_args[$name]})"
    "${node_program[$name]:-$program}" "${arguments[@]}" --state "$scratch/$name" \
        > "$scratch/$name.out" 2>> "$scratch/$name.log" &
    pid[$name]=$!
}

# node_stop NAME [SECONDS]: SIGTERM; it must end with 0 in time.
node_stop() {
    local name=$1 limit=${2:-5} begin code=0
    begin=$(now_ms)
    kill -TERM "${pid[$name]}"
    # Not by a process that sleeps meanwhile: ctest waits for whatever has the test's output.
    while is_alive "$name" && (($(now_ms) < begin + (limit + 5) * 1000)); do
        sleep 0.01
    done
    kill -KILL "${pid[$name]}" 2> /dev/null || true
    wait "${pid[$name]}" || code=$?
    unset "pid[$name]"
    local took=$(($(now_ms) - begin))
    ((code == 0)) || fail "$name ended with $code after SIGTERM ($took ms)"
    ((took <= limit * 1000)) || fail "$name took $took ms to stop"
    step "$name stopped in $took ms"
}

node_kill() {
    kill -KILL "${pid[$1]}"
    wait "${pid[$1]}" 2> /dev/null || true
    unset "pid[$1]"
}

# copy_running NAME FOLDER: what it has on its disk at one moment; LevelDB takes files away now and then.
copy_running() {
    local code=0
    kill -STOP "${pid[$1]}"
    cp -r "$scratch/$1" "$2" || code=$?
    kill -CONT "${pid[$1]}"
    return $code
}

# rigged NAME VARIABLE=VALUE…: from its next start on NAME is the rigged program, with these set.
rigged() {
    local name=$1
    shift
    printf '#!/bin/bash\nexport %s\nexec %q "$@"\n' "${*@Q}" "$tools/system_rigged" > "$scratch/$name.program"
    chmod +x "$scratch/$name.program"
    node_program[$name]=$scratch/$name.program
}

# loses_unsynced NAME: from its next start on, node_die takes along what NAME has not synced.
loses_unsynced() {
    mkdir -m 700 -p "$scratch/$1"
    rigged "$1" WW_UNSYNCED_ROOT="$scratch/$1" WW_UNSYNCED_KEPT="$scratch/$1.kept"
}

# shifted NAME SECONDS: from its next start on, NAME's clock is so far ahead, or behind.
shifted() {
    rigged "$1" WW_CLOCK_SHIFT_S="$2"
}

# Killed, or without power, as loses_unsynced has it.
node_die() {
    node_kill "$1"
    if [[ -d $scratch/$1.kept ]]; then
        "${node_program[$1]}" restore || fail "$1: its folder can't be put back"
        rm -rf "$scratch/$1.kept"
    fi
}

start_arbiter() {
    arbiter_port=$(free_port)
    node_start arbiter arbiter --listen "127.0.0.1:$arbiter_port" "$@"
    wait_for 15 "the arbiter's start" is_ready arbiter
    join_line=$(call arbiter join.line | jq -r .line)
}

# join NAME NETWORK: makes NAME's key and a network of it.
join() {
    "$program" key new --key "$scratch/keys/$1/key" > "$scratch/key.out" 2>&1 || fail "key new: $(cat "$scratch/key.out")"
    "$program" join "$join_line" "$2" --key "$scratch/keys/$1/key" > "$scratch/join.out" 2>&1 ||
        fail "join $2: $(cat "$scratch/join.out")"
}

# join_invited NAME BY: into the network of another node.
join_invited() {
    local code
    code=$("$program" invite --key "$scratch/keys/$2/key" --arbiter "$join_line" --json | jq -r .code)
    "$program" key new --key "$scratch/keys/$1/key" > "$scratch/key.out" 2>&1 || fail "key new: $(cat "$scratch/key.out")"
    "$program" join "$join_line" --invite "$code" --key "$scratch/keys/$1/key" > "$scratch/join.out" 2>&1 ||
        fail "join by invitation: $(cat "$scratch/join.out")"
}

credit() {
    call arbiter wallet.credit "{\"network\":\"$1\",\"asset\":\"usd\",\"amount\":\"$2\"}" > /dev/null ||
        fail "the grant for $1"
    granted=$((granted + $2))
}

start_provider() {
    node_start provider provider --key "$scratch/keys/provider/key" --arbiter "$join_line" --loopback \
        --allow-private 127.0.0.0/8 --allow-private ::1/128 "$@"
    wait_for 15 "the provider's start" is_ready provider
}

start_client() {
    proxy_port=$(free_port)
    node_start client client --key "$scratch/keys/client/key" --arbiter "$join_line" --loopback \
        --allow-private 127.0.0.0/8 --allow-private ::1/128 --proxy "127.0.0.1:$proxy_port" "$@"
    wait_for 20 "the client's start" is_ready client
}

start_origin() {
    "$tools/system_traffic" origin > "$scratch/origin.out" 2> "$scratch/origin.log" &
    wait_for 5 "the origin's start" grep -q port "$scratch/origin.out"
    origin_port=$(awk '/^port/ { print $2 }' "$scratch/origin.out")
}

# start_all: an arbiter, a provider and a client of two networks, money, and an origin.
start_all() {
    start_arbiter
    join provider bobnet
    join client alicenet
    credit alicenet 100000000000
    start_provider
    start_client
    start_origin
    step "arbiter, provider and client are ready (pids ${pid[arbiter]} ${pid[provider]} ${pid[client]})"
}

# traffic SCENARIO FLAGS…
traffic() {
    "$tools/system_traffic" "$1" --proxy "$proxy_port" --origin "$origin_port" "${@:2}"
}

# traffic_start SCENARIO FLAGS…: the same in the background; its own process id is in traffic_pid. In
# a function that is put there, a signal would end the shell around it, and leave it running.
traffic_start() {
    "$tools/system_traffic" "$1" --proxy "$proxy_port" --origin "$origin_port" "${@:2}" &
    traffic_pid=$!
}

# Bytes that a process has resident; the most it ever had.
rss_kib() {
    awk '/^VmRSS:/ { print $2 }' "/proc/${pid[$1]}/status"
}

peak_kib() {
    awk '/^VmHWM:/ { print $2 }' "/proc/${pid[$1]}/status"
}

# The books, asked of the running arbiter: whole, balanced, and as much money as was granted.
check_books() {
    local report total
    report=$(call arbiter ledger.verify) || fail "ledger.verify can't be asked"
    [[ $(jq -r .ok <<< "$report") == true ]] || fail "the books do not balance: $report"
    total=$(call arbiter wallet.show | jq '[.wallets[] | select(.asset == "usd") |
        (.transfer, .market, .earned, .escrow, .dispute) | tonumber] | add')
    [[ $total == "$granted" ]] || fail "$granted was granted, but wallets hold $total"
}

# The books in an arbiter's folder that does not run.
check_books_offline() {
    local report
    report=$("$program" ledger verify --state "$scratch/arbiter" --json) || fail "offline verify: $report"
    [[ $(jq -r .ok <<< "$report") == true ]] || fail "the books do not balance: $report"
}

# Ends all contracts of the client; then both sides' counts are equal to the byte, proven by the
# other side's receipts in both closes, and each is paid
# at its price: floor(escrow * used / bytes), where contracts had $1 bytes and cost ceil(bytes * price).
# With $2 = untold, an arbiter that died may have owed a side the news of its last settlements.
check_counts() {
    local bytes=$1 untold=${2:-}
    call client contracts.end > /dev/null || fail "contracts.end"
    wait_for 15 "the end of all contracts" all_closed
    [[ -n $untold ]] || wait_for 5 "the news of the last settlements" all_told
    # In files: a long history is more than an argument may have.
    status client > "$scratch/ours.json"
    status provider > "$scratch/theirs.json"
    jq -n -e --slurpfile our "$scratch/ours.json" --slurpfile their "$scratch/theirs.json" \
        --argjson bytes "$bytes" --arg untold "$untold" '
        $our[0] as $ours | $their[0] as $theirs |
        ($theirs.history | map({key: .contract, value: .}) | from_entries) as $other
        | (($bytes * 100000000 / 1073741824) | ceil) as $escrow
        | [$ours.history[]
           | (.outcome // "{}" | fromjson) as $outcome
           | $other[.contract] as $peer
           | (.bytes_up + .bytes_down) as $used
           | {contract, state, used: $used, peer_state: $peer.state,
              equal: ($peer != null and .bytes_up == $peer.bytes_up and .bytes_down == $peer.bytes_down),
              proven: (.proven_up == .bytes_up and $peer.proven_up == .bytes_up and $peer.proven_down == .bytes_down),
              settled_bytes: $outcome.bytes,
              paid: ([$outcome.paid[]? | .amount | tonumber] | add // 0),
              due: ($escrow * $used / $bytes | floor)}] as $all
        | ($all | map(select((.equal and .proven and ((.state == "settled" and .settled_bytes == .used and .paid == .due)
                              or ($untold != "" and (.state == "open" or .state == "gone"))))
                             or (.state == "void" and .used == 0 and .paid == 0) | not))) as $bad
        | if ($bad | length) == 0 and ($all | length) > 0
          then {contracts: ($all | length), used: ($all | map(.used) | add), paid: ($all | map(.paid) | add)}
          else ($bad | tostring | halt_error(1)) end' > "$scratch/counts.json" ||
        fail "counts or payments differ"
    step "counts equal to the byte, proven by receipts, paid at their price: $(jq -c . "$scratch/counts.json")"
    check_books
}

all_closed() {
    [[ $(status arbiter | jq .contracts_open) == 0 ]] &&
        status client | jq -e 'all(.history[]; .state != "closing")' &&
        status provider | jq -e 'all(.history[]; .state != "closing")'
}

all_told() {
    status client | jq -e 'all(.history[]; .state == "settled" or .state == "void")' &&
        status provider | jq -e 'all(.history[]; .state == "settled" or .state == "void")'
}

# api NAME METHOD PATH [BODY]: a call with NAME's key; prints the answer, fails on an error.
api() {
    WW_LUA=$here/lua "$program" api "$join_line" "$scratch/keys/$1/key" "${@:2}"
}

# --- disputes ---------------------------------------------------------------------------------------

is_other_busy() {
    status other | jq -e '([.connections[].contracts[] | .bytes_down] | add) > 1000000'
}

# Its closes have been taken; a contract that it has made since may be open.
are_closes_taken() {
    is_ready other && status other | jq -e '(.history | length) > 0 and all(.history[]; .state != "closing")'
}

is_disputed() {
    (($(status arbiter | jq .contracts_disputed) > 0))
}

# open_dispute START: the client `other` is killed with -9 amid traffic that load_other ROUND gives it (as $load)
# and started again by START NAME, until its close and the provider's differ. They are equal when all that was
# carried had its receipt in the moment of the kill.
open_dispute() {
    local round
    for round in 1 2 3 4 5 6; do
        load_other $round
        wait_for 15 "traffic" is_other_busy
        node_kill other
        kill -KILL "$load" 2> /dev/null || true
        wait "$load" 2> /dev/null || true
        "$1" other
        wait_for 20 "the closes of what the other client had" are_closes_taken
        ! is_disputed || break
    done
    is_disputed || fail "no dispute"
    node_stop other
}
