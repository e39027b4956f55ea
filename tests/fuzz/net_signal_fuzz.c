/* Signalling text: whatever is taken can be written, and reads the same again. */
#include <stdlib.h>
#include <string.h>

#include "ww/net_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ww_signal first, second;
    struct ww_buf text;
    if (ww_signal_parse((const char *)data, size, &first))
        return 0;
    if (first.candidate_count > WW_CANDIDATES_MAX)
        abort();
    for (unsigned i = 0; i < first.candidate_count; i++)
        ww_candidate_is_allowed(&first.candidates[i], false);
    ww_buf_init(&text, 4 * WW_SIGNAL_BYTES_MAX);
    ww_signal_write(&first, &text);
    /* Ours may be longer than theirs (addresses' long form, related addresses). */
    if (text.size > 0 && text.size <= WW_SIGNAL_BYTES_MAX) {
        if (text.error || ww_signal_parse((const char *)text.data, text.size, &second))
            abort();
        first.candidates_skipped = first.candidates_over = 0;
        if (memcmp(&first, &second, sizeof first) != 0)
            abort();
    }
    ww_buf_deinit(&text);
    return 0;
}
