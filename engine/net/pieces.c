/* Cuts wide records and puts them together. See pieces.h. */
#include "pieces.h"

#include <string.h>

#include "ww/limits.h"

#include "number.h"

/* One in 64 lost, of records of 12 pieces, is a path that loses one datagram in 770. There it costs
 * more than it saves. A path is asked with short records first, so that one that loses many loses
 * little by it. */
#define LOST_1_IN     64
#define JUDGE_SEEN    256     /* fewer say nothing good; five that are missing of them say enough */
#define UNSEEN_MIN    8       /* so many, of which nothing was seen for … */
#define UNSEEN_US     2000000 /* … so long, are swallowed: more than any path takes */
#define STALE_MIN     1024    /* a whole record so far behind: the largest number was nobody's */
#define CUT_STEP      16
#define WIDTH_FIRST   2 /* pieces; twice as many after each good judgement */
#define WAIT_FIRST_US 10000000
#define WAIT_MAX_US   320000000
#define CALM_US       60000000 /* wide for so long: the next time it waits as for the first */

void ww_pieces_init(struct ww_pieces *pieces)
{
    memset(pieces, 0, sizeof *pieces);
    ww_random_bytes(&pieces->counted.token, sizeof pieces->counted.token);
    ww_pieces_path(pieces);
}

void ww_pieces_release(struct ww_pieces *pieces)
{
    for (size_t i = 0; i < WW_PIECES_SLOTS; i++) {
        ww_free(pieces->slots[i].bytes);
        pieces->slots[i] = (struct ww_pieces_slot){0};
    }
}

/* --- out -------------------------------------------------------------------------------------- */

static void all_seen(struct ww_pieces *pieces)
{
    pieces->unseen_from = pieces->number;
    pieces->unseen_us = 0;
}

size_t ww_pieces_record_bytes(struct ww_pieces *pieces, size_t datagram_bytes, uint64_t now_us)
{
    size_t each = datagram_bytes - WW_PIECE_HEAD;
    if (!pieces->is_offered || WW_PIECES_RECORD_MAX < 2 * each)
        return 0;
    if (pieces->narrow_until_us) {
        if (now_us < pieces->narrow_until_us)
            return 0;
        pieces->narrow_until_us = 0;
        pieces->widened_us = now_us;
        pieces->seen = pieces->whole = 0;
        pieces->width = WIDTH_FIRST;
        all_seen(pieces);
    }
    return WW_MIN(pieces->width * each, (size_t)WW_PIECES_RECORD_MAX);
}

/* Rounded, so that records of about the same packets have pieces of one size: only such leave in
 * one system call. */
size_t ww_pieces_cut(size_t record_size, size_t datagram_bytes, unsigned *count)
{
    size_t most = datagram_bytes - WW_PIECE_HEAD;
    *count = (unsigned)((record_size + most - 1) / most);
    size_t each = (record_size + *count - 1) / *count;
    return WW_MIN((each + CUT_STEP - 1) / CUT_STEP * CUT_STEP, most);
}

void ww_pieces_head(struct ww_pieces *pieces, size_t record_size, uint8_t head[WW_PIECE_HEAD])
{
    head[0] = WW_PIECE_KIND;
    head[1] = 0;
    number_put(head + 2, (uint32_t)record_size, 2);
    number_put(head + 4, pieces->number++, 4);
    number_put(head + 8, pieces->token_out, 4);
}

static void narrow(struct ww_pieces *pieces, uint64_t now_us)
{
    pieces->seen = pieces->whole = 0;
    if (pieces->widened_us && now_us - pieces->widened_us > CALM_US)
        pieces->wait_us = WAIT_FIRST_US;
    pieces->narrow_until_us = now_us + pieces->wait_us;
    pieces->wait_us = WW_MIN(2 * pieces->wait_us, (uint64_t)WAIT_MAX_US);
}

static void judge(struct ww_pieces *pieces, uint64_t now_us)
{
    uint64_t missing = pieces->seen > pieces->whole ? pieces->seen - pieces->whole : 0;
    bool is_bad = missing * LOST_1_IN > WW_MAX(pieces->seen, (uint32_t)JUDGE_SEEN);
    if (is_bad) {
        narrow(pieces, now_us);
    } else if (pieces->seen >= JUDGE_SEEN) {
        pieces->seen = pieces->whole = 0;
        pieces->width = WW_MIN(2 * pieces->width, (unsigned)WW_PIECES_COUNT_MAX);
    }
}

/* Where a path swallows pieces, as what knows STUN and DTLS only may, no report counts them. */
static bool are_swallowed(struct ww_pieces *pieces, uint32_t seen, uint64_t now_us)
{
    if (seen > 0)
        all_seen(pieces);
    if (pieces->number - pieces->unseen_from < UNSEEN_MIN)
        return false;
    if (!pieces->unseen_us)
        pieces->unseen_us = now_us;
    return now_us - pieces->unseen_us >= UNSEEN_US;
}

void ww_pieces_told(struct ww_pieces *pieces, const struct ww_pieces_report *report,
                    uint64_t now_us)
{
    uint32_t seen = report->top - pieces->told.top, whole = report->whole - pieces->told.whole;
    bool is_first = !pieces->is_offered || pieces->token_out != report->token;
    pieces->is_offered = true;
    pieces->token_out = report->token;
    pieces->told = *report;
    if (pieces->narrow_until_us)
        return;
    if (is_first || seen > UINT32_MAX / 2 || whole > UINT32_MAX / 2) /* or an old one, overtaken */
        return;
    pieces->seen += seen;
    pieces->whole += whole;
    if (!are_swallowed(pieces, seen, now_us)) {
        judge(pieces, now_us);
        return;
    }
    narrow(pieces, now_us);
    if (report->top == 0) /* none has ever come: each further try would cost as much */
        pieces->narrow_until_us = UINT64_MAX;
}

void ww_pieces_path(struct ww_pieces *pieces)
{
    pieces->narrow_until_us = pieces->widened_us = 0;
    pieces->wait_us = WAIT_FIRST_US;
    pieces->width = WIDTH_FIRST;
    pieces->seen = pieces->whole = 0;
    all_seen(pieces);
}

/* --- in --------------------------------------------------------------------------------------- */

/* The first that is free, so that a path without losses uses one; else each in turn. */
static struct ww_pieces_slot *free_slot(struct ww_pieces *pieces)
{
    for (size_t i = 0; i < WW_PIECES_SLOTS; i++) {
        if (!pieces->slots[i].in_use)
            return &pieces->slots[i];
    }
    return &pieces->slots[pieces->turn++ % WW_PIECES_SLOTS];
}

static struct ww_pieces_slot *find_slot(struct ww_pieces *pieces, uint32_t number, size_t total,
                                        size_t each)
{
    struct ww_pieces_slot *slot;
    for (size_t i = 0; i < WW_PIECES_SLOTS; i++) {
        slot = &pieces->slots[i];
        if (slot->in_use && slot->number == number && slot->total == total && slot->each == each)
            return slot;
    }
    slot = free_slot(pieces);
    slot->in_use = true;
    slot->number = number;
    slot->total = (uint16_t)total;
    slot->each = (uint16_t)each;
    slot->have = slot->lent = 0;
    return slot;
}

static void count_number(struct ww_pieces *pieces, uint32_t number)
{
    uint32_t ahead = number + 1 - pieces->counted.top;
    if (!pieces->has_seen || (ahead > 0 && ahead <= UINT32_MAX / 2))
        pieces->counted.top = number + 1;
    pieces->has_seen = true;
}

bool ww_pieces_input(struct ww_pieces *pieces, const uint8_t *datagram, size_t size,
                     struct ww_gather *record, enum ww_ecn *mark)
{
    if (size <= WW_PIECE_HEAD || datagram[0] != WW_PIECE_KIND ||
        number_get(datagram + 8, 4) != pieces->counted.token)
        return false;
    size_t index = datagram[1], total = number_get(datagram + 2, 2), each = size - WW_PIECE_HEAD;
    uint32_t number = (uint32_t)number_get(datagram + 4, 4);
    size_t count = (total + each - 1) / each;
    if (total > WW_PIECES_RECORD_MAX || count < 2 || count > WW_PIECES_COUNT_MAX || index >= count)
        return false;
    struct ww_pieces_slot *slot = find_slot(pieces, number, total, each);
    count_number(pieces, number);
    slot->mark = slot->have ? ww_ecn_join(slot->mark, *mark) : *mark;
    slot->at[index] = datagram + WW_PIECE_HEAD;
    slot->have |= UINT32_C(1) << index;
    slot->lent |= UINT32_C(1) << index;
    if (slot->have != (uint32_t)((UINT64_C(1) << count) - 1))
        return false;
    slot->in_use = false;
    uint32_t behind = pieces->counted.top - (number + 1);
    if (behind >= STALE_MIN && behind <= UINT32_MAX / 2)
        pieces->counted.top = number + 1;
    pieces->counted.whole++;
    *record = (struct ww_gather){.at = slot->at, .each = each, .size = total};
    *mark = slot->mark;
    return true;
}

/* False: no memory. */
static bool keep(struct ww_pieces_slot *slot)
{
    if (!slot->bytes)
        slot->bytes = ww_realloc(NULL, WW_PIECES_RECORD_MAX, 1);
    if (!slot->bytes)
        return false;
    for (size_t index = 0; index < WW_PIECES_COUNT_MAX; index++) {
        size_t from = index * slot->each;
        if (!(slot->lent >> index & 1))
            continue;
        memcpy(slot->bytes + from, slot->at[index],
               WW_MIN((size_t)slot->each, (size_t)slot->total - from));
        slot->at[index] = slot->bytes + from;
    }
    slot->lent = 0;
    return true;
}

void ww_pieces_keep(struct ww_pieces *pieces)
{
    for (size_t i = 0; i < WW_PIECES_SLOTS; i++) {
        struct ww_pieces_slot *slot = &pieces->slots[i];
        if (slot->in_use && slot->lent && !keep(slot))
            slot->in_use = false; /* as if it were lost */
    }
}
