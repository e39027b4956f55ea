#!/usr/bin/env bash
# `cmake --install` gives a program that finds its Lua and policies by itself, with man page and
# completions. Argument: the build folder.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

step "the quickstart builds ww alone: what else is installed comes with it"
ninja -C "$1" -t commands ww > "$scratch/commands"
for shell in bash zsh fish; do
    grep -q "completions/ww\.$shell" "$scratch/commands" || fail "ww is built without completions/ww.$shell"
done

step "install"
cmake --install "$1" --prefix "$scratch/prefix" > "$scratch/install.out"
cd "$scratch"
program=$scratch/prefix/bin/ww
"$program" version
for file in man/man1/ww.1 man/man1/ww-repl.1 man/man7/ww-policy.7 bash-completion/completions/ww zsh/vendor-completions/_ww \
    fish/vendor_completions.d/ww.fish doc/ww/LICENSE doc/ww/README.md \
    ww/meta/policy.lua doc/ww/examples/policies/surge-price/market.test.lua doc/ww/policies/strict/flow.lua doc/ww/policies/generous/contract.test.lua; do
    [[ -s $scratch/prefix/share/$file ]] || fail "share/$file was not installed"
done
bash -n "$scratch/prefix/share/bash-completion/completions/ww"

step "an installed recipe holds"
"$program" policy check "$scratch/prefix/share/doc/ww/examples/policies/surge-price" | grep '^ok: '

step "an installed arbiter answers, with its policies"
start_arbiter
status arbiter | jq -e '.policy_generation | length == 52' > /dev/null || fail "no policies"
node_stop arbiter
