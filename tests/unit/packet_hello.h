/* First packets as programs send them: OpenSSL's own TLS greeting, and QUIC's as RFC 9001 makes it.
 */
#pragma once
#include "ww/base.h"

/* What OpenSSL sends first for the server `name` (NULL: none). Returns its size. */
size_t hello_tls(const char *name, uint8_t *out, size_t max);
/* What OpenSSL answers to a greeting by TLS 1.2: its own greeting and a certificate, which nobody
 * has encrypted. Returns its size. */
size_t hello_tls_answer(uint8_t *out, size_t max);
/* RFC 9001 appendix A.2, with another name if one is given: a UDP payload of 1200 bytes. */
size_t hello_quic(const char *name, uint8_t out[1200]);
/* The same in two packets, 0 and 1, as long greetings are: the name is in the second half. */
size_t hello_quic_half(unsigned half, uint8_t out[1200]);
