#!/usr/bin/env bash
# From a fresh clone to a paid transfer: installs what is missing, builds, runs `ww demo`.
# Arguments go to the demo: see `ww demo --help`. A second run skips what is done. Only the demo
# writes to stdout, so that `examples/quickstart.sh --json | jq` works.
set -eu
cd "$(dirname "$0")/.."

./tests/install.sh run
if ! [ -f build/release/build.ninja ]; then
    cmake --preset release >&2
fi
cmake --build --preset release --target ww >&2
exec build/release/ww demo "$@"
