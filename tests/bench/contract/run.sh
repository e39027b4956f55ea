#!/usr/bin/env bash
# Whole contract lives a second against a real arbiter on loopback, with real signatures: request,
# answer, opened, both closes, settled, each step durable before the next. Once over WebSockets, once over
# HTTPS (offers come by WebSocket there too). Clients and providers are one process on the same machine;
# the CPU time of each per life says what a life costs whatever else the machine does.
# Everything runs in a temporary folder, on a free port, and is ended by its process id.
#
#   tests/bench/contract/run.sh [--build DIR] [--runs N] [--seconds N] [--nodes N] [--lives N] [--json]
#
# --nodes: clients, and as many providers. --lives: at the same time, of each client.
set -euo pipefail

root=$(cd "$(dirname "$0")/../../.." && pwd)
build=$root/build/release
runs=5 seconds=2 nodes=8 lives=16 json=no
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=${2:?} && shift ;;
    --runs) runs=${2:?} && shift ;;
    --seconds) seconds=${2:?} && shift ;;
    --nodes) nodes=${2:?} && shift ;;
    --lives) lives=${2:?} && shift ;;
    --json) json=yes ;;
    *)
        sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
    esac
    shift
done
ww=$build/ww
[ -x "$ww" ] || { echo "run.sh: $ww is not built; see --build" >&2 && exit 2; }

dir=$(mktemp -d) arbiter=''
end() {
    [ -z "$arbiter" ] || { kill "$arbiter" && wait "$arbiter"; } 2> /dev/null || true
    rm -rf "$dir"
}
trap end EXIT
trap 'exit 130' INT TERM

"$ww" arbiter --listen 127.0.0.1:0 --state "$dir/arbiter" > "$dir/arbiter.out" 2> "$dir/arbiter.log" &
arbiter=$!
for ((try = 0; try < 100; try++)); do
    ! grep -qs "^https://" "$dir/arbiter.out" || break
    sleep 0.1
done
line=$(grep '^https://' "$dir/arbiter.out") || { cat "$dir/arbiter.log" >&2 && exit 1; }

for mode in wss https; do
    at_once=$lives
    # One connection carries one request at a time.
    [ "$mode" = wss ] || at_once=1
    count=$nodes
    [ "$mode" = wss ] || count=$((nodes * 4))
    WW_LUA=$root/tests/bench/contract/lua "$ww" "$line" "$dir" "$arbiter" "$mode" "$runs" "$seconds" \
        "$count" "$at_once" 2> "$dir/nodes.log" || { tail -n 5 "$dir/nodes.log" "$dir/arbiter.log" >&2 && exit 1; }
done > "$dir/runs"
"$ww" ledger verify --state "$dir/arbiter" > /dev/null || { echo "run.sh: the books are wrong" >&2 && exit 1; }

jq -s 'def median: sort | .[length / 2 | floor];
    group_by(.mode) | reverse | map({mode: .[0].mode, runs: length, lives_per_s: map(.lives_per_s) | median,
        min: map(.lives_per_s) | min, max: map(.lives_per_s) | max,
        arbiter_us: map(.arbiter_us) | median, nodes_us: map(.nodes_us) | median})' "$dir/runs" > "$dir/table"
if [ "$json" = yes ]; then
    jq -c . "$dir/table"
else
    jq -r '.[] | "\(.mode): \(.lives_per_s) lives/s (\(.min) to \(.max) in \(.runs) runs); " +
        "CPU per life: arbiter \(.arbiter_us) us, nodes \(.nodes_us) us"' "$dir/table"
fi
