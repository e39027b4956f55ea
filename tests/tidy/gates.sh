#!/bin/sh
# Checks the gates between rooms: each room must be able to include every header of its own, alone,
# and must not find any header of a room above it. Usage: gates.sh CC SOURCE_FOLDER BUILD_FOLDER
set -eu
compiler=$1 source=$2 build=$3
failed=0

level_of() {
    case $1 in
    base) echo 0 ;;
    loop | store | crypto | wire) echo 1 ;;
    line | ledger | policy | net | http | packet) echo 2 ;;
    transfer | contract | relay) echo 3 ;;
    ops) echo 4 ;;
    node) echo 5 ;;
    *)
        echo "gates.sh knows no room $1" >&2
        exit 1
        ;;
    esac
}

headers_of() {
    tr '\n' ' ' <"$source/engine/$1/CMakeLists.txt" | sed -n 's/.*HEADERS \(.*\) SOURCES.*/\1/p'
}

# Does a file of room $1 that includes ww/$2 compile?
compiles() {
    printf '#include "ww/%s"\n' "$2" |
        "$compiler" -std=gnu11 -fsyntax-only -I "$source/engine/$1" -I "$build/rooms/$1" -x c - \
            2>/dev/null
}

for folder in "$build"/rooms/*/; do
    room=$(basename "$folder")
    level=$(level_of "$room")
    for header in $(headers_of "$room"); do
        [ "${header##*.}" = h ] || continue
        if ! compiles "$room" "$header"; then
            echo "$room can't include its own ww/$header alone"
            failed=1
        fi
    done
    for other_folder in "$build"/rooms/*/; do
        other=$(basename "$other_folder")
        [ "$(level_of "$other")" -gt "$level" ] || continue
        for header in $(headers_of "$other"); do
            if compiles "$room" "$header"; then
                echo "$room can include ww/$header, which is above it"
                failed=1
            fi
        done
    done
done
# The check itself: without a gate the same include is found.
if ! printf '#include "ww/ledger.h"\n' |
    "$compiler" -std=gnu11 -fsyntax-only -I "$source/include" -x c - 2>/dev/null; then
    echo "ww/ledger.h doesn't compile at all, so nothing was checked"
    failed=1
fi
exit $failed
