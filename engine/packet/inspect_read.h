/* Inside of the room: names in the first bytes of a flow. Pure; bytes from anybody. */
#pragma once
#include "ww/base.h"
#include "ww/limits.h"

/* Each reads what one side has sent so far, from the first byte on. 0: *name is the host name in
 * small letters, or "" where it has none, more than one, or one that no host has; WW_EAGAIN: more
 * bytes are needed; WW_EMALFORMED: it is something else. */
int inspect_read_tls(const uint8_t *bytes, size_t size, char name[WW_NAME_BYTES_MAX + 1]);
int inspect_read_http(const uint8_t *bytes, size_t size, char name[WW_NAME_BYTES_MAX + 1]);
/* A query with one question: a datagram, or behind its length in TCP. Never WW_EAGAIN for UDP. */
int inspect_read_dns(const uint8_t *bytes, size_t size, bool is_tcp,
                     char name[WW_NAME_BYTES_MAX + 1]);
/* Letters, digits, '-', '_' and dots between, in small letters; one dot at the end is left out.
 * False: *name is "". */
bool inspect_read_host(const uint8_t *bytes, size_t size, char name[WW_NAME_BYTES_MAX + 1]);
