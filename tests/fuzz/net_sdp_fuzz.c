/* Session descriptions: bounded, and never read past their end. */
#include <stdlib.h>
#include <string.h>

#include "ww/net_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ww_signal signal;
    char mid[16];
    memset(mid, 0, sizeof mid);
    if (ww_sdp_parse((const char *)data, size, &signal, mid, sizeof mid))
        return 0;
    if (signal.candidate_count > WW_CANDIDATES_MAX || memchr(mid, '\0', sizeof mid) == NULL)
        abort();
    return 0;
}
