#!/bin/bash
# A client whose only way to everybody else is a bad line: of the datagrams between the two peers 30 % are
# lost, 20 % come out of order, 5 % twice, and 1 % with a flipped bit, in each direction. So many KiB up
# and as many down at once: bytes are identical, counts equal, nothing is disputed, all of it within 90 s.
# What the arbiter gets (TCP) passes as it is. bad_line.sh [SEED [KIB [LOSS REORDER REPEAT FLIP]]]
#
#   near: client 11.0.1.2 ══ relay ══ far: arbiter, provider 11.0.2.2 ── web: web server 11.0.3.2
set -euo pipefail
self=$(realpath "$0")

if [[ -z ${LINE_INSIDE:-} ]]; then
    user=()
    (($(id -u) == 0)) || user=(--user --map-root-user)
    # shellcheck disable=SC2016
    if ! unshare "${user[@]}" --mount --net bash -c 'mount -t tmpfs none /run && ip netns add probe &&
        ip -n probe tuntap add dev probe mode tun' 2> /dev/null; then
        echo "namespaces or TUN devices are not allowed here"
        exit 77
    fi
    LINE_INSIDE=1 exec unshare "${user[@]}" --mount --net --pid --fork --kill-child --mount-proc \
        bash "$self" "$@"
fi

mount -t tmpfs none /run
. "$(dirname "$self")/lib.sh"
unset XDG_RUNTIME_DIR
seed=${1:-1}
size=$((${2:-4096} * 1024))
quality=("${@:3}")
((${#quality[@]} == 4)) || quality=(30 20 5 1)
limit_s=90

on() {
    ip netns exec "$@"
}

# start_on NAMESPACE NAME ROLE FLAGS…: as lib.sh's node_start.
start_on() {
    local space=$1 name=$2
    shift 2
    ip netns exec "$space" "$program" "$@" --state "$scratch/$name" 2>> "$scratch/$name.log" >&2 &
    pid[$name]=$!
}

# The device of a namespace, and nothing but IPv4 in it.
line_up() { # NAMESPACE ADDRESS OTHERS
    on "$1" sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6'
    ip -n "$1" address add "$2/32" dev line
    ip -n "$1" link set line mtu 1500 up
    ip -n "$1" link set lo up
    ip -n "$1" route add "$3" dev line
}

build_line() {
    ip netns add near
    ip netns add far
    "$tools/system_relay" /run/netns/near /run/netns/far "${quality[@]}" "$seed" \
        > "$scratch/relay.out" 2> "$scratch/relay.log" &
    relay=$!
    wait_for 5 "the relay's start" grep -q ready "$scratch/relay.out"
    line_up near 11.0.1.2 11.0.0.0/16
    line_up far 11.0.2.2 11.0.1.2/32
    ip netns add web
    ip -n far link add web type veth peer name eth0 netns web
    ip -n far address add 11.0.3.1/24 dev web
    ip -n far link set web up
    ip -n web address add 11.0.3.2/24 dev eth0
    ip -n web link set eth0 up
}

join_on() { # NAMESPACE NAME NETWORK
    "$program" key new --key "$scratch/keys/$2/key" > "$scratch/key.out" 2>&1 || fail "key new"
    on "$1" "$program" join "$join_line" "$3" --key "$scratch/keys/$2/key" > "$scratch/join.out" 2>&1 ||
        fail "join $3: $(cat "$scratch/join.out")"
}

start_nodes() {
    start_on far arbiter arbiter --listen 11.0.2.2:8443 --url https://11.0.2.2:8443 --hosts 11.0.2.2
    wait_for 20 "the arbiter's start" is_ready arbiter
    join_line=$(call arbiter join.line | jq -r .line)
    join_on far provider bobnet
    join_on near client alicenet
    credit alicenet 100000000000
    start_on far provider provider --key "$scratch/keys/provider/key" --arbiter "$join_line" \
        --allow-private 11.0.3.0/24
    on web "$program" demo-origin --listen 11.0.3.2:8080 --announce "$scratch/web.port" \
        2> "$scratch/web.log" &
    wait_for 20 "the provider's start" is_ready provider
    wait_for 10 "the web server's start" test -s "$scratch/web.port"
    start_on near client client --key "$scratch/keys/client/key" --arbiter "$join_line" \
        --proxy 127.0.0.1:1080
}

web() {
    on "$1" curl -sS --max-time $limit_s "${@:2}"
}

# A bit that flips in a handshake, which nothing protects yet, ends that connection: then there is
# another contract, and the first is void.
is_settled() {
    status "$1" | jq -e 'any(.history[]; .state == "settled") and
        all(.history[]; .state == "settled" or (.state == "void" and .bytes_up + .bytes_down == 0))'
}

step "seed $seed, $((size >> 10)) KiB; loss, out of order, twice, flipped: ${quality[*]} %"
build_line
head -c $size /dev/urandom > "$scratch/sent"
start_nodes
down="http://11.0.3.2:8080/down?bytes=$size&seed=7"
web far "$down" > "$scratch/expected"
began_s=$SECONDS
wait_for $limit_s "a connection over the bad line" is_ready client
step "client and provider are connected"
web near -x socks5h://127.0.0.1:1080 -H 'Expect:' -X POST -T "$scratch/sent" http://11.0.3.2:8080/up \
    > "$scratch/up" 2> "$scratch/up.log" &
up=$!
web near -x socks5h://127.0.0.1:1080 "$down" > "$scratch/down" 2> "$scratch/down.log" ||
    fail "the download: $(cat "$scratch/down.log")"
step "down"
wait "$up" || fail "the upload: $(cat "$scratch/up.log")"
step "up"
cmp "$scratch/expected" "$scratch/down" || fail "something else came down"
grep -q "$(sha256sum < "$scratch/sent" | cut -d ' ' -f 1)" "$scratch/up" || fail "the web server got something else"
call client contracts.end > /dev/null || fail "contracts.end"
wait_for 30 "the end of the client's contracts" is_settled client
wait_for 30 "the end of the provider's contracts" is_settled provider
((SECONDS - began_s < limit_s)) || fail "it took $((SECONDS - began_s)) s"
status client > "$scratch/ours.json"
status provider > "$scratch/theirs.json"
jq -n -ce --argjson least $((2 * size)) --slurpfile our "$scratch/ours.json" \
    --slurpfile their "$scratch/theirs.json" '
    def counts: [.[0].history[] | {contract, bytes_up, bytes_down}] | sort_by(.contract);
    ($our | counts) as $ours | ($ours == ($their | counts)) as $equal
    | ($ours | map(.bytes_up + .bytes_down) | add) as $bytes
    | {contracts: ($ours | length), $bytes, $equal}
    | if .equal and .bytes >= $least then . else (tostring | halt_error(1)) end' > "$scratch/counts" ||
    fail "counts differ"
step "counts are equal: $(cat "$scratch/counts")"
[[ $(status arbiter | jq .disputed_total) == 0 ]] || fail "there was a dispute"
check_books
node_stop client 10
node_stop provider 10
node_stop arbiter
check_books_offline
kill -TERM "$relay"
wait "$relay" || fail "the relay"
step "the line: $(tail -n 1 "$scratch/relay.out")"
step "all held"
