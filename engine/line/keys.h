/* Inside of the room: what comes from the terminal, cut into keys and pasted text. Pure. */
#pragma once
#include "ww/base.h"
#include "ww/limits.h"

struct keys {
    char bytes[WW_LINE_PENDING_BYTES_MAX];
    size_t size;
    bool is_pasting;
};

enum keys_unit {
    KEYS_NONE,  /* more has to come first */
    KEYS_TYPED, /* one key: a character or a whole escape sequence */
    KEYS_PASTED /* text between the marks of a paste; may be empty */
};

/* Room for what comes next. */
char *keys_room(struct keys *keys, size_t *size);
/* So many bytes have come. */
void keys_add(struct keys *keys, size_t size);
/* What is next, and how many bytes it has; marks of a paste are dropped on the way. */
enum keys_unit keys_next(struct keys *keys, size_t *size);
/* Removes bytes from the front. */
void keys_drop(struct keys *keys, size_t size);
