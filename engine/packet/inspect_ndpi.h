/* Inside of the room: nDPI, as the inspecting process uses it: questions in, answers out. It does
 * no input or output of its own. */
#pragma once
#include "inspect_wire.h"

struct inspect_ndpi;

/* WW_ENOMEM. Opens one first packet of QUIC, so that whatever is set up at the first is. */
int inspect_ndpi_create(struct inspect_ndpi **ndpi);
/* NULL is fine. */
void inspect_ndpi_destroy(struct inspect_ndpi *ndpi);
/* The names of all applications. */
const struct inspect_names *inspect_ndpi_names(const struct inspect_ndpi *ndpi);
/* One message: *size is that of its answer, 0 if there is none. WW_EMALFORMED. */
int inspect_ndpi_answer(struct inspect_ndpi *ndpi, const uint8_t *bytes, size_t bytes_size,
                        uint8_t answer[INSPECT_ANSWER_BYTES], size_t *size);
/* Flows that something is kept of, at most INSPECT_SLOTS. */
size_t inspect_ndpi_count(const struct inspect_ndpi *ndpi);
