#!/usr/bin/env bash
# Echo tests against headless Chromium and node-datachannel, in a network namespace that has
# loopback only. Usage: run.sh path/to/ww-echo. Prints "N passed, M failed".
set -eu
echo_program=$(realpath "$1")
cd "$(dirname "$0")"

if ! [ -d node_modules/node-datachannel ] || ! [ -d node_modules/playwright-core ]; then
    echo "installing node modules" >&2
    timeout -k 5 120 env PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-fund --no-audit >&2
fi

# Outside a namespace peers would gather the machine's own interfaces.
namespace=(unshare --net)
[ "$(id -u)" = 0 ] || namespace=(unshare --user --map-root-user --net)
exec timeout -k 5 200 "${namespace[@]}" sh -c \
    'ip link set lo up && exec node run.mjs "$1"' sh "$echo_program"
