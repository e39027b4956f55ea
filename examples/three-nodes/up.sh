#!/usr/bin/env bash
# An arbiter, a provider, a client and a web server, each in a network namespace of its own behind a
# router, as if on four machines. Joins, grants credit, downloads and uploads through the tunnel,
# checks what was paid, and takes everything down. Usage: up.sh [--hold] [path/to/ww]
# --hold waits for Enter before it takes everything down, and prints what to try meanwhile.
#
#   arbiter 11.0.1.2   provider 11.0.2.2   client 11.0.3.2   web server 11.0.4.2
#        └──────────────────┴──── router ────────┴──────────────────┘
#
# All of it lives in a namespace of its own (mounts, network, processes), so nothing outside is
# touched, and nothing is left however this ends. Needs root, or unprivileged user namespaces.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

hold=no
if [ "${1:-}" = --hold ]; then
    hold=yes
    shift
fi
program=$(realpath "${1:-$here/../../build/release/ww}")
[ -x "$program" ] || {
    echo "There is no $program: build it (cmake --preset release && cmake --build --preset release --target ww)" >&2
    exit 1
}

if [ -z "${WW_INSIDE:-}" ]; then
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/ww-three-nodes.XXXXXX")
    user=()
    [ "$(id -u)" = 0 ] || user=(--user --map-root-user)
    flags=()
    [ "$hold" = no ] || flags=(--hold)
    status=0
    WW_INSIDE=$scratch unshare "${user[@]}" --mount --net --pid --fork --kill-child --mount-proc \
        "$here/up.sh" "${flags[@]}" "$program" || status=$?
    rm -rf "$scratch"
    exit "$status"
fi

scratch=$WW_INSIDE
export TMPDIR=$scratch
unset XDG_STATE_HOME XDG_RUNTIME_DIR "${!WW_@}"
mount -t tmpfs none /run

say() {
    printf '\n== %s\n' "$*"
}

fail() {
    echo "FAILED: $*" >&2
    for log in "$scratch"/*.log; do
        echo "--- $(basename "$log")" >&2
        tail -n 25 "$log" >&2
    done
    exit 1
}
trap 'fail "line $LINENO"' ERR

# --- four machines and a router ---------------------------------------------------------------------

machines=(arbiter provider client web)
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
number=0
for name in "${machines[@]}"; do
    number=$((number + 1))
    ip netns add "$name"
    ip link add "to-$name" type veth peer name eth0 netns "$name"
    ip address add "11.0.$number.1/24" dev "to-$name"
    ip link set "to-$name" up
    ip -n "$name" address add "11.0.$number.2/24" dev eth0
    ip -n "$name" link set eth0 up
    ip -n "$name" link set lo up
    ip -n "$name" route add default via "11.0.$number.1"
    mkdir -p "$scratch/$name"
done

# Runs a command on a machine, as a user with a home of its own.
on() {
    local name=$1
    shift
    HOME=$scratch/$name ip netns exec "$name" "$@"
}

# Starts a node; its log is in the scratch folder.
start() {
    local name=$1
    shift
    # exec, so that the process id is the node's.
    (
        export HOME=$scratch/$name
        exec ip netns exec "$name" "$program" "$@"
    ) >"$scratch/$name.out" 2>"$scratch/$name.log" &
    pids+=("$!")
}
pids=()

# Waits until a node says that it is ready.
ready() {
    local tries
    for tries in $(seq 200); do
        if on "$1" "$program" status --json 2>/dev/null | grep -Eq '"ready": ?true'; then
            return
        fi
        sleep 0.1
    done
    on "$1" "$program" status >&2 || true
    fail "$1 is not ready after $tries tries"
}

# --- nodes ------------------------------------------------------------------------------------------

say "The arbiter"
start arbiter arbiter -c "$here/arbiter.lua"
ready arbiter
line=$(on arbiter "$program" status --json | grep -Eo 'https://[^"]*#[a-z2-7]{52}' | head -n 1)
echo "join line: $line"

say "The provider joins, with a network of its own"
on provider "$program" key new
on provider "$program" join "$line" sunny-homes
start provider provider -c "$here/provider.lua"
ready provider

say "The client joins; the operator grants it 5 dollars"
on client "$program" key new
on client "$program" join "$line" alice
on arbiter "$program" wallet credit alice usd 5usd
start client client -c "$here/client.lua"
ready client

# --- traffic ------------------------------------------------------------------------------------------

start web demo-origin --listen 11.0.4.2:8080 --announce "$scratch/web.port"
for _ in $(seq 100); do
    [ ! -s "$scratch/web.port" ] || break
    sleep 0.1
done
head -c 33554432 /dev/urandom >"$scratch/sent"
sum=$(sha256sum <"$scratch/sent" | cut -d ' ' -f 1)

say "32 MiB up and 32 MiB down, through the tunnel"
reply=$(on client curl -sS --max-time 60 -x socks5h://127.0.0.1:1080 -H 'Expect:' \
    --data-binary "@$scratch/sent" -H 'Content-Type: application/octet-stream' \
    http://11.0.4.2:8080/up)
echo "$reply" | grep -q "$sum" || fail "the web server got something else: $reply"
down='http://11.0.4.2:8080/down?bytes=33554432&seed=7'
tunnelled=$(on client curl -sS --max-time 60 -x http://127.0.0.1:1080 -p "$down" | sha256sum)
direct=$(on client curl -sS --max-time 60 "$down" | sha256sum)
[ "$tunnelled" = "$direct" ] || fail "the tunnel changed what was downloaded"
echo "identical both ways"

# For tests: more of them, with all that is defined here.
[ -z "${THREE_NODES_THEN:-}" ] || . "$THREE_NODES_THEN"

say "What is not on the public internet is refused"
if on client curl -sS --max-time 10 -x socks5h://127.0.0.1:1080 http://11.0.2.1:1/ ||
    on client curl -sS --max-time 10 -x socks5h://127.0.0.1:1080 http://192.168.1.1/; then
    fail "a private address was reached"
fi

if [ "$hold" = yes ]; then
    say "Holding. In another terminal, as the same user:"
    echo "  nsenter --target $$ --all ip netns exec client env HOME=$scratch/client bash"
    echo "  then: $program status; curl -x socks5h://127.0.0.1:1080 http://11.0.4.2:8080/"
    read -rp "Enter to take everything down "
fi

# --- the end ------------------------------------------------------------------------------------------

say "The client stops: its contracts are ended, closed and paid"
on client "$program" status
kill -TERM "${pids[2]}"
wait "${pids[2]}" || fail "the client did not end well"

# The largest amount in a kind of wallet, over all networks, in base units.
most_in() {
    on arbiter "$program" wallet show --json | grep -Eo "\"$1\": ?\"[0-9]+\"" |
        grep -Eo '[0-9]+' | sort -n | tail -n 1
}
for _ in $(seq 50); do
    [ "$(most_in escrow)" != 0 ] || break
    sleep 0.1
done
on arbiter "$program" wallet show
[ "$(most_in escrow)" = 0 ] || fail "a contract is still open"
[ "$(most_in dispute)" = 0 ] || fail "a contract is in dispute"
[ "$(most_in earned)" != 0 ] || fail "the provider was not paid"
on arbiter "$program" ledger verify
kill -TERM "${pids[1]}" "${pids[0]}" "${pids[3]}"
wait "${pids[1]}" && wait "${pids[0]}" || fail "a node did not end well"
say "All of it was right"
