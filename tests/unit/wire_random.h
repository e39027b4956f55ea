/* Random but valid structs for every codec, and what it means that two are equal. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ww/wire.h"

/* What a random frame's pointers refer to. */
struct frame_memory {
    uint8_t bytes[WW_MESSAGE_BYTES_MAX];
};

extern const enum ww_frame_type frame_types[];
extern const size_t frame_type_count;

/* A number below 2^bits whose magnitude is random, too: every varint form turns up. */
uint64_t random_number(struct ww_prng *prng, unsigned bits);
void random_token(struct ww_prng *prng, struct ww_token *token);
void random_frame(struct ww_prng *prng, enum ww_frame_type type, struct frame_memory *memory,
                  struct ww_frame *frame);
void random_receipt(struct ww_prng *prng, struct ww_receipt *receipt);
void random_declaration(struct ww_prng *prng, struct ww_declaration *declaration);
void random_close(struct ww_prng *prng, struct ww_close *record);
void random_dcep_open(struct ww_prng *prng, struct ww_dcep_open *open);
bool frames_equal(const struct ww_frame *a, const struct ww_frame *b);
/* A few random changes: flipped, overwritten, removed and inserted bytes. Returns the new size;
 * data has room for `capacity`. */
size_t random_damage(struct ww_prng *prng, uint8_t *data, size_t size, size_t capacity);
/* Tokens, closes and DCEP messages are decoded into zeroed structs. */
#define STRUCTS_EQUAL(a, b) (memcmp(&(a), &(b), sizeof(a)) == 0)
