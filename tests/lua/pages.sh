#!/usr/bin/env bash
# Compares the pages that are made from the program with what it prints now.
# Usage: pages.sh PROGRAM SOURCE_FOLDER [--write]: with --write they are made anew.
set -eu
program=$1 source=$2 mode=${3:-compare}
made=$(mktemp)
trap 'rm -f "$made"' EXIT
failed=0
while read -r topic page; do
    timeout 60 "$program" help "$topic" > "$made"
    if [[ $mode == --write ]]; then
        cp "$made" "$source/$page"
    elif ! diff -u "$source/$page" "$made"; then
        echo "$page is not what \`ww help $topic\` prints: run tests/lua/pages.sh PROGRAM . --write" >&2
        failed=1
    fi
done << 'PAGES'
config-reference docs/reference/configuration.md
cli-reference docs/reference/cli.md
man-page docs/man/ww.1
repl-reference docs/reference/repl.md
repl-man-page docs/man/ww-repl.1
repl-stubs lua/meta/repl.lua
PAGES
exit $failed
