#!/usr/bin/env bash
# Transcripts in docs/policies/ and docs/operating/repl.md: whoever types what they say, with nodes that
# run, sees what they say, but for ids, times, and what the node carried meanwhile.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/page.sh"
unset WW_CONTROL WW_KEY WW_STATE WW_ARBITER NO_COLOR
docs=$here/../../docs

step "explaining.md"
page=$docs/policies/explaining.md
replay 1
replay 2

# What differs from run to run, in these pages: times, hashes, ids, and who runs this. Columns are as wide as
# what is in them.
plain() {
    sed -E "s/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}/WHEN/g; s/\\b(ann|$(id -un))\\b/WHO/g
        s/\\b[a-z2-7]{52}\\b/ID/g; s/\\b[a-z2-7]{10}\\b/HASH/g; s/\\b[0-9a-f]{4}-[0-9]+\\b/DECISION/g
        s/of [0-9]+ decisions/of N decisions/; s/network_age_s = [0-9]+/network_age_s = N/
        s/[0-9]+ tests/N tests/; s/ +/ /g; s/ $//"
}

step "reload.md"
page=$docs/policies/reload.md
mkdir "$scratch/rules" "$scratch/other"
cp "$here/../../policies/default/contract.lua" "$scratch/rules"
cp "$here/../../policies/default/contract.lua" "$scratch/other"
echo '-- another' >> "$scratch/other/contract.lua"
start_arbiter --policies "$scratch/rules"
export WW_CONTROL=$scratch/arbiter/control.sock
generation() {
    [[ $("$program" policy log --json | jq .current) == "$1" ]]
}
echo '-- changed' >> "$scratch/rules/contract.lua"
wait_for 10 "a reload by itself" generation 2
printf 'local M = {}\n\nfunction M.offer(request)\n    return { decision = "accept" }\nend\nreturn {}(M)\n' > "$scratch/rules/contract.lua"
replay 1
"$program" policy reload "$scratch/other" > /dev/null || fail "no reload"
replay 2
node_stop arbiter
unset WW_CONTROL

step "shadow-and-replay.md"
page=$docs/policies/shadow-and-replay.md
mkdir "$scratch/policies.next"
block lua 1 > "$scratch/policies.next/contract.lua"
node_start arbiter arbiter --listen "127.0.0.1:$arbiter_port"
wait_for 15 "the arbiter's start" is_ready arbiter
join provider bobnet
join client alicenet
credit alicenet 100000000000
start_provider
start_client
export WW_CONTROL=$scratch/arbiter/control.sock
decision=$("$program" policy journal --json --hook contract.offer | jq -r '.decisions[0].id')
replay 1
replay 2
replay 3
replay 4
unset WW_CONTROL
step "all held"
