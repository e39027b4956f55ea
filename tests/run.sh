#!/usr/bin/env bash
# Everything that CI runs: installs what the tests need, builds with AddressSanitizer and UBSan,
# runs every test. Arguments go to ctest, as in: tests/run.sh -L unit
set -eu
cd "$(dirname "$0")/.."

./tests/install.sh test
cmake --preset asan
cmake --build --preset asan
# Tests that measure or that need the whole machine say RUN_SERIAL themselves.
exec ctest --preset asan --no-tests=error --parallel "$(nproc)" "$@"
