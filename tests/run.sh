#!/usr/bin/env bash
# Everything that CI runs: installs what the tests need, builds with AddressSanitizer and UBSan,
# runs every test. Arguments go to ctest, as in: tests/run.sh -L unit
set -eu
cd "$(dirname "$0")/.."

./tests/install.sh test
cmake --preset asan
cmake --build --preset asan
# Most tests of nodes wait more than they work, so there is one more than there are cores; what measures
# says RUN_SERIAL itself.
exec ctest --preset asan --no-tests=error --parallel "$(($(nproc) + 1))" "$@"
