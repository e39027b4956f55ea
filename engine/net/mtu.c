/* Search for a path's MTU: the link's own first, then what Ethernet has, then by halves. A quiet
 * path costs nothing: sizes are confirmed only while they are used.
 *
 * A path that swallows what it carried before stops the flows that are on it, so a size that goes
 * unconfirmed once is tried in quick succession, beside small probes: only where those come through
 * is it the size (RFC 8899 4.3), and not the whole path, that is gone.
 */
#include "mtu.h"

#define TRIES_MAX 5
#define TRY_US    500000
#define FIRST_US                                                                                   \
    62500 /* the first try again, and twice as late each time: a new peer's first is often lost */
#define STEP          8       /* closer is close enough: 0.7 % */
#define ETHERNET      1472    /* 1,500 less IPv4 and UDP; over IPv6 `most` is 1,452 there */
#define CONFIRM_US    1000000 /* one probe a second, beside at least one record of its size */
#define AGAIN_US      100000  /* one that isn't answered: so long until the next … */
#define AGAIN_TRIES   8 /* … and so many: with a fifth lost each way all are in 1 of 3,500 */
#define PASSED_MIN    2 /* … while so many small ones came through */
#define AFTER_HOLE_US 30000000
#define RAISE_US      600000000 /* RFC 8899 5.1.1: PMTU_RAISE_TIMER */

static void finish(struct ww_mtu *mtu, uint64_t now_us)
{
    mtu->is_searching = mtu->is_confirming = false;
    mtu->again_us = now_us + (mtu->best > mtu->base ? (uint64_t)CONFIRM_US : RAISE_US);
}

static void try_size(struct ww_mtu *mtu, size_t size, uint64_t now_us)
{
    mtu->trying = size;
    mtu->tries = mtu->passed = 0;
    mtu->first_id = mtu->id + 1;
    mtu->due_us = now_us;
}

static void go_on(struct ww_mtu *mtu, uint64_t now_us)
{
    if (mtu->high < mtu->best + STEP)
        finish(mtu, now_us);
    else if (mtu->best == mtu->base && mtu->high == mtu->most)
        try_size(mtu, mtu->most, now_us);
    else if (mtu->best < ETHERNET && mtu->high >= ETHERNET)
        try_size(mtu, ETHERNET, now_us);
    else
        try_size(mtu, (mtu->best + mtu->high + 1) / 2, now_us);
}

static void search(struct ww_mtu *mtu, uint64_t now_us)
{
    mtu->is_searching = true;
    mtu->high = mtu->most;
    go_on(mtu, now_us);
}

void ww_mtu_start(struct ww_mtu *mtu, size_t base, size_t most, uint64_t now_us)
{
    *mtu = (struct ww_mtu){.base = base, .best = base, .most = WW_MAX(base, most), .id = mtu->id};
    search(mtu, now_us);
}

static void confirm(struct ww_mtu *mtu, uint64_t now_us)
{
    mtu->is_searching = false;
    mtu->is_confirming = true;
    try_size(mtu, mtu->best, now_us);
}

void ww_mtu_doubt(struct ww_mtu *mtu, uint64_t now_us)
{
    if (mtu->best > mtu->base && !mtu->is_confirming)
        confirm(mtu, now_us);
}

static void give_up_size(struct ww_mtu *mtu, uint64_t now_us)
{
    if (mtu->is_confirming && mtu->passed < PASSED_MIN) {
        confirm(mtu, now_us); /* nothing comes through, whatever its size */
        return;
    }
    if (mtu->is_confirming) {
        mtu->best = mtu->base;
        mtu->is_confirming = false;
        mtu->again_us = now_us + AFTER_HOLE_US;
        return;
    }
    mtu->high = mtu->trying - 1;
    go_on(mtu, now_us);
}

/* Time to look whether the path has changed without a word. */
static void look_again(struct ww_mtu *mtu, bool is_used, uint64_t now_us)
{
    if (now_us < mtu->again_us || mtu->most < mtu->base + STEP)
        return;
    if (mtu->best == mtu->base) {
        search(mtu, now_us);
    } else if (is_used) {
        confirm(mtu, now_us);
    }
}

/* How long to wait for the answer to the probe that goes now. */
static uint64_t wait_us(const struct ww_mtu *mtu)
{
    uint64_t trip_us = mtu->trip_us;
    if (mtu->is_searching)
        return WW_MIN((uint64_t)FIRST_US << mtu->tries, (uint64_t)TRY_US);
    if (mtu->tries == 0 || mtu->tries + 1 == AGAIN_TRIES)
        return AGAIN_US + trip_us + trip_us / 2;
    return WW_MIN(AGAIN_US + trip_us / 4, (uint64_t)TRY_US);
}

size_t ww_mtu_probe(struct ww_mtu *mtu, bool is_used, uint64_t now_us, uint32_t *id)
{
    if (!mtu->is_searching && !mtu->is_confirming)
        look_again(mtu, is_used, now_us);
    if ((mtu->is_searching || mtu->is_confirming) && now_us >= mtu->due_us &&
        mtu->tries >= (mtu->is_searching ? TRIES_MAX : AGAIN_TRIES))
        give_up_size(mtu, now_us);
    if ((!mtu->is_searching && !mtu->is_confirming) || now_us < mtu->due_us)
        return 0;
    mtu->due_us = now_us + wait_us(mtu);
    mtu->tries++;
    *id = ++mtu->id;
    return mtu->trying;
}

bool ww_mtu_answer(struct ww_mtu *mtu, uint32_t id, size_t size, uint64_t now_us)
{
    if ((!mtu->is_searching && !mtu->is_confirming) || id - mtu->first_id > mtu->id - mtu->first_id)
        return false;
    mtu->passed += size <= mtu->base;
    if (size != mtu->trying)
        return false;
    if (mtu->is_confirming) {
        finish(mtu, now_us);
        return false;
    }
    mtu->best = size;
    go_on(mtu, now_us);
    return true;
}

uint64_t ww_mtu_next_us(const struct ww_mtu *mtu)
{
    return mtu->is_searching || mtu->is_confirming ? mtu->due_us : UINT64_MAX;
}

bool ww_mtu_wants_small(const struct ww_mtu *mtu)
{
    return mtu->is_confirming && mtu->tries > 1; /* the first was not answered */
}
