#!/usr/bin/env bash
# Each recipe of examples/policies holds, with tests of its own; says what it is for and how to try it;
# is short; and stands in docs/policies/recipes.md.
# Usage: recipes.sh PROGRAM SOURCE_FOLDER
set -euo pipefail
program=$1 source=$2
page=$source/docs/policies/recipes.md
count=0

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

for folder in "$source"/examples/policies/*/; do
    name=$(basename "$folder")
    out=$(timeout 60 "$program" policy check "$folder" 2>&1) || fail "$name: $out"
    # A file without tests is a warning.
    [[ $out == 'ok: '* ]] || fail "$name: $out"
    grep -q "^| \[$name\](" "$page" || fail "$name is not in docs/policies/recipes.md"
    for file in "$folder"*.lua; do
        (($(wc -l < "$file") <= 70)) || fail "$file is longer than 70 lines"
        [[ $file == *.test.lua ]] && continue
        [[ $(head -n 1 "$file") == '--- '?* ]] || fail "$file does not begin with what it does"
    done
    # No pipe: grep -q ends at the first hit, and what writes to it would fail.
    grep -qx -- "--- Try it: ww policy test examples/policies/$name" "$folder"*.lua ||
        fail "$name does not say how to try it"
    count=$((count + 1))
done
rows=$(grep -c '^| \[' "$page")
((count == rows && count >= 12)) || fail "$count recipes, and $rows in docs/policies/recipes.md"
echo "ok: $count recipes"
