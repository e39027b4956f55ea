#!/bin/sh
# A seed always gives the same run: whatever fails can be repeated. The hash is of every event.
set -eu
sim=$1
hash_of() {
    "$sim" --seeds 4 --start "$1" | sed -n 's/.*trace \([0-9a-f]\{16\}\)$/\1/p'
}
for start in 49 1000 2000; do # 50 signs with ECDSA
    first=$(hash_of "$start")
    second=$(hash_of "$start")
    echo "seeds from $start: $first $second"
    [ -n "$first" ] && [ "$first" = "$second" ]
done
if "$sim" --seeds 0 2>/dev/null || "$sim" --what 2>/dev/null; then
    echo "a wrong argument is taken"
    exit 1
fi
