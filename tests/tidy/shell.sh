#!/bin/sh
# Checks that every script parses, can be run, and stops at the first error.
# Usage: shell.sh SOURCE_FOLDER
set -eu
cd "$1"
failed=0
for script in .ci/run $(find tests examples -name node_modules -prune -o -name '*.sh' -print); do
    case $(head -n 1 "$script") in
    '#!/bin/sh') sh -n "$script" || failed=1 ;;
    '#!/usr/bin/env bash' | '#!/bin/bash') bash -n "$script" || failed=1 ;;
    *) continue ;; # to be sourced
    esac
    grep -qE '^(set -[a-z]*e|[.] .*/lib[.]sh)' "$script" || {
        echo "$script: no set -e"
        failed=1
    }
done
exit $failed
