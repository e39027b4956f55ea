#!/usr/bin/env bash
# Campaigns without an end of their own, each bounded by its argument:
#   tests/long.sh fuzz MINUTES    libFuzzer on every target, the time shared among them
#   tests/long.sh kill CYCLES     kill -9 of arbiter, provider and client in any order under load
#   tests/long.sh cut CYCLES      the same, and what was not synced is lost
#   tests/long.sh soak MINUTES    demo after demo of random size, each of which must balance
#   tests/long.sh sim SEEDS       the simulation, from a random seed on
#   tests/long.sh tunnel MINUTES  flows, floods and roaming through a tunnel; memory and descriptors stay
#   tests/long.sh line ROUNDS     TCP through a tunnel and without it, by turns, on lossy and narrow lines
#   tests/long.sh reload TIMES    an arbiter's policies change while contracts come and go
# Stops at the first failure, and says how to repeat it.
set -eu
cd "$(dirname "$0")/.."

usage() {
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

number=${2:-}
case $number in
'' | *[!0-9]* | 0*) usage ;;
esac

build() {
    [ -f "build/$1/build.ninja" ] || cmake --preset "$1"
    cmake --build --preset "$@"
}

fuzz() {
    local targets jobs seconds
    build fuzz --target fuzz_targets
    mapfile -t targets < <(find build/fuzz/tests/fuzz -maxdepth 1 -type f -name 'fuzz_*' -perm -u+x |
        sort)
    jobs=$(nproc)
    seconds=$((number * 60 * jobs / ${#targets[@]}))
    [ "$seconds" -gt 0 ] || seconds=1
    echo "${#targets[@]} targets, $seconds s each, $jobs at once" >&2
    # What is found is kept in build/fuzz/corpus, for the next campaign.
    printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I '{}' sh -c '
        target=$1 name=$(basename "$1" | sed "s/^fuzz_//")
        found=build/fuzz/corpus/$name
        mkdir -p "$found"
        "$target" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
            -artifact_prefix="build/fuzz/crash-$name-" "$found" "tests/fuzz/corpus/$name" \
            >"build/fuzz/$name.log" 2>&1 || {
            tail -n 40 "build/fuzz/$name.log"
            echo "$name: see build/fuzz/$name.log"
            exit 255
        }
        echo "$name: $(grep "number_of_executed_units" "build/fuzz/$name.log")"' sh '{}' "$seconds"
}

kill_all() {
    build release
    # A client needs some seconds to miss its provider, and a dispute with a silent side some minutes.
    SYSTEM_PROGRAM=$PWD/build/release/ww SYSTEM_TOOLS=$PWD/build/release/tests/system \
        timeout -k 10 $((number * 30 + 600)) bash tests/system/kill.sh "$number" "$RANDOM" "$@"
}

soak() {
    local end run=0 mib report
    build release --target ww
    end=$((SECONDS + number * 60))
    report=$(mktemp)
    trap 'rm -f "$report"' EXIT
    while [ "$SECONDS" -lt "$end" ]; do
        run=$((run + 1))
        mib=$((1 + RANDOM % 256))
        if ! timeout -k 10 180 build/release/ww demo --json --bytes "${mib}MiB" >"$report"; then
            cat "$report"
            echo "run $run failed: build/release/ww demo --json --bytes ${mib}MiB" >&2
            exit 1
        fi
        jq -r --arg run "$run" --arg mib "$mib" \
            '"run \($run): \($mib) MiB, \(.contracts | length) contracts, \(.mbit_s) Mbit/s"' \
            "$report"
    done
    echo "$run runs, all balanced"
}

sim() {
    local start
    build release --target ww-sim
    start=$((RANDOM * 32768 + RANDOM))
    build/release/tests/sim/ww-sim --seeds "$number" --start "$start"
}

reload() {
    build release --target unit_node_arbiter # says if memory stays flat
    WW_RELOADS=$number timeout -k 10 $((number / 5 + 120)) \
        build/release/tests/unit/unit_node_arbiter reload
    build asan --target unit_node_arbiter # says if anything leaks
    ASAN_OPTIONS=quarantine_size_mb=1 WW_RELOADS=$number \
        timeout -k 10 $((number / 5 + 120)) build/asan/tests/unit/unit_node_arbiter reload
}

tunnel() {
    build asan
    SYSTEM_PROGRAM=$PWD/build/asan/ww SYSTEM_TOOLS=$PWD/build/asan/tests/system \
        timeout -k 10 $((number * 60 + 300)) bash tests/system/tunnel_load.sh soak "$number"
}

line() {
    local case
    build release
    for case in loss fair; do
        SYSTEM_PROGRAM=$PWD/build/release/ww SYSTEM_TOOLS=$PWD/build/release/tests/system \
            timeout -k 10 $((number * 90 + 120)) bash tests/system/tunnel_line.sh $case "$number"
    done
}

case ${1:-} in
fuzz) fuzz ;;
kill) kill_all ;;
cut) kill_all cut ;;
soak) soak ;;
sim) sim ;;
reload) reload ;;
tunnel) tunnel ;;
line) line ;;
*) usage ;;
esac
