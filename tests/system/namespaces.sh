#!/usr/bin/env bash
# The three nodes of the example, in network namespaces; skipped where those are not allowed.
set -eu
if ! unshare --user --map-root-user --mount --net true 2>/dev/null &&
    ! unshare --mount --net true 2>/dev/null; then
    echo "namespaces are not allowed here"
    exit 77
fi
# What a user has set for nodes of their own must not reach the example's.
export WW_LISTEN=127.0.0.1:1 WW_CONTROL=/nowhere/at/all.sock
THREE_NODES_THEN=$(cd "$(dirname "$0")" && pwd)/namespaces_mtu.sh
export THREE_NODES_THEN
exec "$(dirname "$0")/../../examples/three-nodes/up.sh" "${SYSTEM_PROGRAM:?the path of ww}"
