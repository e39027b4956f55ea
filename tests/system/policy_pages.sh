#!/usr/bin/env bash
# docs/policies/first-rule.md: whoever types what it says sees what it says.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/page.sh"
page=$here/../../docs/policies/first-rule.md

step "the rule"
mkdir "$scratch/rules"
block lua 1 > "$scratch/rules/contract.lua"
replay 1
step "its test"
block lua 2 > "$scratch/rules/contract.test.lua"
replay 2
step "a slip of the pen"
replay 3
step "on a node"
start_arbiter
export WW_CONTROL=$scratch/arbiter/control.sock
replay 4
node_stop arbiter

step "the sandbox"
page=$here/../../docs/policies/sandbox.md
replay 1
replay 2
# Each name of its table exists.
awk -F'[`|]' '/^\| (language|sizes) \|/ { n = split($4, names, " "); for (i = 1; i <= n; i++) print "assert(" names[i] ")" }
    /^\| `(math|string|table)` \|/ { n = split($6, names, " "); for (i = 1; i <= n; i++) print "assert(" $3 "." names[i] ")" }' \
    "$page" > "$scratch/bad/flow.lua"
[[ $(grep -c '^assert([a-z.A-Z]*)$' "$scratch/bad/flow.lua") -ge 36 ]] || fail "names: $(cat "$scratch/bad/flow.lua")"
echo 'return { verdict = function() return { decision = "deny" } end }' >> "$scratch/bad/flow.lua"
(cd "$scratch" && "$program" policy check bad) || fail "sandbox.md names what isn't there"
