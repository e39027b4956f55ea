/* Raw bytes to the server: heads, bodies, pipelining, upgrades. */
#include "http_peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    http_peer_run("", 0, data, size);
    return 0;
}
