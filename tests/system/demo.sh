#!/usr/bin/env bash
# `ww demo` from outside: every field of its --json, the report, twice with the same state, interrupted.
# demo.sh [SIZE]; SYSTEM_PROGRAM is the program.
set -euo pipefail

ww=${SYSTEM_PROGRAM:?the path of ww}
size=${1:-8MiB}
folder=$(mktemp -d "${TMPDIR:-/tmp}/ww-demo-test.XXXXXX")
export TMPDIR=$folder
limit_s=150

finish() {
    local code=$?
    [ -z "${origin:-}" ] || kill -KILL "$origin" 2>/dev/null || true
    # A kept folder of the demo holds the logs of what failed; it has been shown already.
    rm -rf "$folder"
    exit $code
}
trap finish EXIT

fail() {
    echo "demo.sh: $*" >&2
    exit 1
}

# check FILE WHAT FILTER: the filter must give true.
check() {
    jq -e "$3" "$1" >/dev/null || {
        jq . "$1" >&2
        fail "$2 does not hold: $3"
    }
}

no_leftovers() {
    local left
    left=$(find "$folder" -maxdepth 1 -name 'ww-demo.*')
    [ -z "$left" ] || fail "left behind: $left"
}

# check_result FILE BYTES
check_result() {
    local file=$1 bytes=$2
    [ "$(jq -s length "$file")" = 1 ] || fail "stdout is not one object: $(cat "$file")"
    check "$file" "ok" '.ok == true and .problems == [] and .ledger_ok == true'
    check "$file" "bytes" ".bytes_down == $bytes and .bytes_up == $bytes and .sha256_match == true"
    check "$file" "speeds" \
        '[.seconds, .mbit_s, .direct_mbit_s, .up_mbit_s] | all(type == "number" and . > 0)'
    check "$file" "path" '.path | (.kind == "host") and (.local | test("(127.0.0.1|::1)")) and
        (.remote | test("(127.0.0.1|::1)"))'
    check "$file" "generation" '.policy_generation | test("^[a-z2-7]{52}$")'
    check "$file" "contracts" '(.contracts | length) >= 1 and (.contracts | all(
        (.id | test("^[0-9a-f]{32}$")) and .state == "settled" and
        (.client_bytes == .provider_bytes) and (.client_bytes | type == "number")))'
    check "$file" "counts cover what was moved" \
        '([.contracts[].client_bytes] | add) >= .bytes_down + .bytes_up'
    check "$file" "counts are not padded" \
        '([.contracts[].client_bytes] | add) <= .bytes_down + .bytes_up + 65536'
    check "$file" "payments" '[.contracts[] | select(.client_bytes > 0) | .paid] |
        all(length == 1 and all(.asset == "usd" and .from == "alice/escrow" and .to == "bob/earned" and
        (.amount | test("^[0-9]+$"))))'
    # 100,000,000 nano-dollars a GiB; the escrow is rounded up, what is paid of it down.
    check "$file" "prices" '.contracts | all((.client_bytes * 100000000 / 1073741824 | floor) as $low |
        ([.paid[].amount | tonumber] | add // 0) as $paid | $paid == $low or $paid == $low + 1)'
    check "$file" "wallets" '
        def of($list; $name; $kind): [$list[] | select(.name == $name) | .[$kind] | tonumber] | add // 0;
        ([.contracts[].paid[].amount | tonumber] | add) as $paid |
        of(.wallets.before; "alice"; "market") - of(.wallets.after; "alice"; "market") == $paid and
        of(.wallets.after; "bob"; "earned") - of(.wallets.before; "bob"; "earned") == $paid and
        of(.wallets.after; "alice"; "escrow") == 0 and of(.wallets.after; "alice"; "dispute") == 0'
}

echo "== one run"
bytes=$(($(numfmt --from=iec-i --suffix=B "$size" | tr -d B)))
timeout $limit_s "$ww" demo --bytes "$size" --json >"$folder/one.json" 2>"$folder/one.err" || {
    cat "$folder/one.json" "$folder/one.err" >&2
    fail "ww demo failed"
}
check_result "$folder/one.json" "$bytes"
grep -q '^download .*100 %' "$folder/one.err" || fail "no progress on stderr"
no_leftovers

echo "== a person's report"
timeout $limit_s "$ww" demo --bytes 100kB -q >"$folder/report.txt" || fail "ww demo failed"
for words in 'Everything was right' 'settled' 'alice/escrow -> bob/earned' 'SHA-256 matches' 'balanced'; do
    grep -q -- "$words" "$folder/report.txt" || fail "the report lacks: $words"
done

echo "== the same state twice"
for run in first second; do
    timeout $limit_s "$ww" demo --bytes 1MiB --json -q --state "$folder/kept" >"$folder/$run.json" ||
        fail "the $run run failed: $(cat "$folder/$run.json")"
    check_result "$folder/$run.json" 1048576
done
jq -n -e --slurpfile a "$folder/first.json" --slurpfile b "$folder/second.json" '
    def earned($list): [$list[] | select(.name == "bob") | .earned | tonumber] | add;
    earned($a[0].wallets.after) == earned($b[0].wallets.before)' >/dev/null ||
    fail "the second run did not go on with the first one's books"
for kept in alice.key client.lua arbiter/ledger; do
    [ -e "$folder/kept/$kept" ] || fail "the state lacks $kept"
done
timeout 20 "$ww" provider -c "$folder/kept/provider.lua" --check-config >/dev/null ||
    fail "the configuration that the demo wrote is not valid"

echo "== held, used, and let go"
"$ww" demo --bytes 100kB --hold --json -q --state "$folder/kept" >"$folder/hold.json" 2>"$folder/hold.err" &
demo=$!
for ((wait = 0; wait < 600; wait++)); do
    grep -q 'Ctrl-C ends them' "$folder/hold.err" && break
    sleep 0.1
done
bash -c "$(grep -o 'curl .*' "$folder/hold.err") -sf" || fail "the curl line does not work"
while read -r line; do
    bash -c "$line" >"$folder/pasted.out" || fail "what is to be pasted does not work: $line"
    ! grep -q ' false$' "$folder/pasted.out" || fail "$line: $(cat "$folder/pasted.out")"
done < <(grep -E '^  [^ ]+ (status|wallet) ' "$folder/hold.err")
kill -INT "$demo"
wait "$demo" || fail "a held demo ended with $?: $(cat "$folder/hold.err")"
check "$folder/hold.json" "held" '.ok == true'
"$ww" ledger verify --json --state "$folder/kept/arbiter" >"$folder/verify.json" || fail "the books of a held demo"
check "$folder/verify.json" "nothing of it is left in escrow" \
    '.ok and .contracts == 0 and (.assets | all(.escrow == "0" and .dispute == "0"))'

echo "== a site by its URL"
"$ww" demo-origin --announce "$folder/port" &
origin=$!
for ((wait = 0; wait < 100; wait++)); do
    [ -s "$folder/port" ] && break
    sleep 0.1
done
url="http://127.0.0.1:$(cat "$folder/port")/down?bytes=1234567&seed=5"
timeout $limit_s "$ww" demo --url "$url" --json -q >"$folder/url.json" ||
    fail "--url failed: $(cat "$folder/url.json")"
check "$folder/url.json" "the site" '.ok and .sha256_match and .bytes_down == 1234567 and .bytes_up == 0'
code=0
timeout $limit_s "$ww" demo --url "${url/down/none}" --json -q >"$folder/url.json" 2>"$folder/url.err" ||
    code=$?
[ "$code" = 1 ] || fail "a site that answers 404: exit code $code"
check "$folder/url.json" "404" '.ok == false and (.error.reason | test("404"))'
rm -rf "$folder"/ww-demo.*
kill -TERM "$origin"
wait "$origin" || fail "the origin ended with $?"
origin=

echo "== a node that dies"
"$ww" demo --bytes 16GiB --json -q >"$folder/dead.json" 2>"$folder/dead.err" &
demo=$!
for ((wait = 0; wait < 300; wait++)); do
    client=$(pgrep -P "$demo" -f ' client -c ' || true) # it is started when the provider is ready
    [ -z "$client" ] || break
    sleep 0.1
done
kill -KILL "$(pgrep -P "$demo" -f ' provider -c ')"
code=0
wait "$demo" || code=$?
[ "$code" = 1 ] || fail "the provider was killed: exit code $code"
check "$folder/dead.json" "who died" '.ok == false and .error.node == "provider"'
[ -d "$(jq -r .folder "$folder/dead.json")" ] || fail "the folder of a failed demo is gone"
grep -q 'the end of .*provider.log' "$folder/dead.err" || fail "the log of the failed node is not shown"
rm -rf "$folder"/ww-demo.*

echo "== interrupted"
# Without --foreground timeout signals twice, and the second interrupt ends a demo at once.
for after_s in 0.3 0.5 0.7 0.8 0.9 1 1.2 2; do
    code=0
    timeout --foreground --preserve-status -s INT $after_s "$ww" demo --bytes 4GiB -q --json >"$folder/int.json" || code=$?
    [ "$code" = 130 ] || fail "interrupted after $after_s s: exit code $code"
    no_leftovers
done

echo "== a size that makes no sense"
code=0
"$ww" demo --bytes none 2>/dev/null || code=$?
[ "$code" = 2 ] || fail "--bytes none: exit code $code"

echo "demo.sh: ok"
