#!/usr/bin/env bash
# docs/reference/metrics.md lists what nodes serve at /metrics: names, types, labels, help.
# Argument --write: the page is written anew.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
page=$here/../../docs/reference/metrics.md

served() {
    curl -sf "$(status "$1" | jq -r .metrics)"
}

# table TITLE PATTERN: a table of the metrics whose names match.
table() {
    printf '\n## %s\n\n| metric | type | labels | |\n|---|---|---|---|\n' "$1"
    awk -v pattern="$2" '
        $1 == "#" && $2 == "HELP" { help = $0; sub(/^# HELP [^ ]+ /, "", help); helps[$3] = help; next }
        $1 == "#" && $2 == "TYPE" { types[$3] = $4; next }
        {
            name = $0; sub(/[{ ].*/, "", name)
            list = ""
            if (match($0, /\{.*\}/)) {
                list = substr($0, RSTART + 1, RLENGTH - 2)
                gsub(/="[^"]*"/, "", list); gsub(/,/, "`, `", list)
                list = "`" list "`"
            }
            labels[name] = list
        }
        END {
            for (name in types) if (name ~ pattern)
                printf "| `%s` | %s | %s | %s |\n", name, types[name], labels[name], helps[name]
        }' "$scratch/served" | LC_ALL=C sort
}

start_arbiter --metrics 127.0.0.1:0
join provider bobnet
join client alicenet
credit alicenet 100000000000
start_provider --metrics 127.0.0.1:0
start_client --metrics 127.0.0.1:0
"$program" policy shadow strict --state "$scratch/arbiter" > "$scratch/shadow.out" || fail "no shadow"

was_asked() {
    [[ $(served arbiter) == *'ww_policy_calls_total{hook="market.stat"}'* ]]
}

wait_for 10 "a decision of the market policy" was_asked
for node in arbiter provider client; do
    served "$node"
done > "$scratch/served"
{
    cat << 'PAGE'
# Metrics

<!-- Written by tests/system/metrics.sh --write, from what nodes serve; without --write it compares. -->

What a node serves at `/metrics` when its configuration says where (`metrics = "127.0.0.1:9090"`): text in
the Prometheus format, for the node's own machine, without encryption. Counters begin at 0 when the node
starts. Beside it are `/healthz` (the process answers) and `/readyz` (it can do its work; `?verbose` says
why not). `metrics.list()` of the [REPL](repl.md) has the same.
PAGE
    table "Every node" '^(process_|ww_build|ww_lua|ww_ready)'
    table "Policies of every node" '^ww_policy_'
    printf '\nThose with `hook` are there for hooks that were asked, those of the shadow while there is one. See\n'
    printf '[reload](../policies/reload.md) and [shadow and replay](../policies/shadow-and-replay.md).\n'
    for role in arbiter provider client; do
        table "${role^}" "^ww_${role}_"
    done
} > "$scratch/page"
if [[ ${1:-} == --write ]]; then
    cp "$scratch/page" "$page"
fi
diff -u "$page" "$scratch/page" || fail "docs/reference/metrics.md is stale: run tests/system/metrics.sh --write"
# Nothing is served that no table has.
rows=$(grep -c '^| `' "$scratch/page") || true
names=$(awk '$1 == "#" && $2 == "TYPE" { print $3 }' "$scratch/served" | sort -u | wc -l)
((rows == names)) || fail "$names metrics are served, and $rows are in a table"
step "$rows metrics"
for node in client provider arbiter; do
    node_stop "$node"
done
