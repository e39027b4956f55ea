/* What the codecs share. Nothing here allocates. */
#pragma once
#include <string.h>

#include "ww/wire.h"

#define WW_WIRE_VARINT_MAX ((1ULL << 62) - 1) /* RFC 9000 section 16 */
#define WW_WIRE_SKIPPABLE  1u                 /* bit of a frame type that is unknown and harmless */
#define WW_WIRE_FIN        1u                 /* flag of a DATA frame */

/* A sentence or label: UTF-8 (RFC 3629) without control characters, so that it can be logged and
 * put into JSON as it is. */
bool ww_wire_text_valid(const void *text, size_t size);
/* A destination's name: 1 to WW_NAME_BYTES_MAX printable ASCII characters, no space. */
bool ww_wire_name_valid(const void *name, size_t size);

bool ww_wire_dest_valid(const struct ww_dest *dest);
void ww_wire_dest_encode(const struct ww_dest *dest, struct ww_buf *out);
/* Sets the whole of *dest; false if malformed. */
bool ww_wire_dest_decode(struct ww_cursor *cursor, struct ww_dest *dest);

/* Ends an encoder that began at out->size == start without an error. On failure the buffer is as
 * it was, so that one bad frame doesn't spoil the message that it should have joined. */
static inline int ww_wire_finish(struct ww_buf *out, size_t start, int rc)
{
    if (!rc)
        rc = out->error == WW_ERANGE ? WW_EINVAL : out->error; /* a number above 2^62 */
    if (rc) {
        out->size = start;
        out->error = 0;
    }
    return rc;
}
