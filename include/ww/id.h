/* Names of things: 16-byte time-ordered ids, 32-byte hashes, and their texts.
 *
 * Text of an id is 32 lower-case hex digits; text of a hash (a node id, a pin) is 52 lower-case
 * base32 digits (RFC 4648 alphabet, no padding).
 */
#pragma once
#include "ww/base.h"

struct ww_id {
    uint8_t bytes[16];
};
struct ww_hash {
    uint8_t bytes[32];
};

#define WW_ID_TEXT_SIZE   33
#define WW_HASH_TEXT_SIZE 53

/* 48 bits of wall-clock milliseconds, then 80 random bits (as UUIDv7 orders them). */
struct ww_id ww_id_make(uint64_t wall_ms);
/* The milliseconds that the id carries. */
uint64_t ww_id_wall_ms(const struct ww_id *id);
bool ww_id_equal(const struct ww_id *a, const struct ww_id *b);
bool ww_hash_equal(const struct ww_hash *a, const struct ww_hash *b);
bool ww_hash_is_zero(const struct ww_hash *a);
/* Each writes *_TEXT_SIZE bytes and returns out. */
const char *ww_id_format(const struct ww_id *id, char *out);
const char *ww_hash_format(const struct ww_hash *hash, char *out);
/* The whole NUL-terminated text must match, in lower case, else WW_EINVAL. */
int ww_id_parse(const char *text, struct ww_id *out);
int ww_hash_parse(const char *text, struct ww_hash *out);
/* Lower-case hex; out has 2*size+1 bytes. Returns out. */
const char *ww_hex_format(const void *data, size_t size, char *out);
/* Exactly `size` bytes from 2*size lower-case digits, else WW_EINVAL. */
int ww_hex_parse(const char *text, void *out, size_t size);
/* Base32 as above; out has (size*8+4)/5+1 bytes. */
const char *ww_base32_format(const void *data, size_t size, char *out);
int ww_base32_parse(const char *text, void *out, size_t size);
/* Base64 (RFC 4648, padded); out_size counts the NUL. WW_ERANGE when out is too small. */
int ww_base64_format(const void *data, size_t size, char *out, size_t out_size);
int ww_base64_parse(const char *text, size_t text_size, void *out, size_t out_capacity,
                    size_t *out_size);
