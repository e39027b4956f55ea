#!/bin/bash
# Bytes through the tunnel: sizes, many streams, half-closes, resets, slow and stalled readers, UDP.
# Every byte is compared; no stream stalls another; memory stays bounded; then the counts.
# transfer.sh [LARGEST [TOTAL]]: bytes.
. "$(dirname "$0")/lib.sh"

largest=${1:-268435456} total=${2:-805306368}
start_all
provider_kib=$(rss_kib provider) client_kib=$(rss_kib client)

run() {
    out=$(traffic "$@") || fail "traffic $*: $out"
    step "$out"
    check_books
}

run sizes --max "$largest" --total "$total" --seed 11
run many --count 64 --max 524288 --seed 12
run halves --count 16 --max 1048576 --seed 13
run resets --count 64 --max 262144 --seed 14
run slow --count 6 --max 786432 --seed 15
run udp --count 40 --seed 16

# The same streams alone, then beside eight whose reader has stopped.
run stalled --held 0 --count 16 --max 2097152 --seed 17
alone=$(jq -r .slowest_s <<< "$out")
run stalled --held 8 --count 16 --max 2097152 --seed 18
beside=$(jq -r .slowest_s <<< "$out")
jq -n -e "$beside < 1 + 4 * $alone" > /dev/null ||
    fail "16 streams took $beside s beside stalled ones, and $alone s alone"
step "16 streams: $alone s alone, $beside s beside 8 stalled ones"

# What 64 streams and 8 stalled ones may hold: queues of a few MiB each, and a sanitizer's overhead.
for name in client provider; do
    before=${name}_kib
    grown=$(($(peak_kib $name) - ${!before}))
    step "$name: $(peak_kib $name) KiB at most, $grown KiB more than at its start"
    ((grown < 262144)) || fail "$name grew by $grown KiB"
done

check_counts 67108864
lane() { # what carries the client's lanes
    status client | jq -r '[.. | .lane? | select(.)] | unique | join(" ")'
}
[ "$(lane)" = records ] || fail "the lanes are in $(lane), not in records"
node_stop client

# With a node that has no fast lane: the same by data channels.
start_client --no-fast-lane
run sizes --max 4194304 --total 16777216 --seed 19
run udp --count 40 --seed 20
[ "$(lane)" = channels ] || fail "the lanes are in $(lane), not in channels"
node_stop client
node_stop provider
node_stop arbiter
check_books_offline
step "all held"
