/* Between the files of the fast lane: fast.c (life, records by kind, timers), fast_send.c (the
 * reliable class going out), fast_ack.c (acknowledgements and losses), fast_rate.c (round trip,
 * windows, pacing), fast_receive.c (the reliable class coming in), fast_datagram.c, fast_range.c
 * (sets of numbers), fast_ring.c (bytes by their offset).
 */
#pragma once
#include <string.h>

#include "fast.h"
#include "number.h"

#define FAST_NUMBER_MAX ((UINT64_C(1) << 48) - 1) /* packet numbers have 6 bytes */
#define FAST_DATA_HEAD  15                        /* kind, number 6, offset 8 */
#define FAST_ACK_HEAD   24 /* kind, window 8, largest 6, delay 4, count 1, first 4 */
#define FAST_PART_HEAD  9  /* kind, id 4, total 2, index, count */
#define FAST_WISH       5  /* kind, bytes 4 */
#define FAST_LENGTH     2  /* in front of each message */

/* RFC 9002 6.1 and 6.2. */
#define FAST_PACKET_THRESHOLD 3
#define FAST_GRANULARITY_US   1000
#define FAST_RTT_FIRST_US     100000  /* half of what DTLS waits at first */
#define FAST_TIMEOUT_MAX_US   3000000 /* so a path that is back is used within 3 s, as with SCTP */
#define FAST_ACK_DELAY_US     5000
#define FAST_ACK_EVERY        2
#define FAST_SLOTS_FIRST      64

struct ww_fast_range {
    uint64_t from, to; /* to: the first that isn't in it */
};

/* Sorted, neither overlapping nor touching. */
struct ww_fast_ranges {
    struct ww_fast_range *at;
    unsigned count, capacity, most;
};

/* Bytes by offset; capacity is a power of two. */
struct ww_fast_ring {
    uint8_t *bytes;
    size_t capacity;
};

enum fast_state { FAST_DONE, FAST_IN_FLIGHT, FAST_LOST };

struct fast_sent {
    uint64_t offset; /* once it is done: the next number that may not be */
    uint64_t sent_us;
    uint16_t size;   /* of the stream's bytes; 0: it only asks for an acknowledgement */
    uint16_t record; /* what it took on the line */
    uint8_t state;
};

struct fast_part {
    uint32_t id;
    uint32_t have; /* a bit per part */
    uint16_t total;
    uint8_t count;
    enum ww_ecn mark; /* of all that came */
    uint64_t used;    /* when it was last added to, by count */
    uint8_t *bytes;   /* the whole record that it becomes, once there was a need */
};

struct ww_fast {
    struct ww_fast_callbacks callbacks;
    void *arg;
    size_t record_bytes;
    size_t pack_bytes; /* of a record that may go over several datagrams: as long, or longer */
    uint64_t now_us;
    struct ww_fast_stats stats;

    /* going out: acknowledged up to `una`, sent up to `sent`, written up to `written` */
    struct ww_fast_ring out;
    uint64_t una, sent, written, limit; /* limit: the other side takes no byte from here on */
    struct ww_fast_ranges acked;        /* beyond una */
    struct ww_fast_ranges again;        /* to be sent again */
    struct fast_sent *slots;            /* by number, from `first` to `next` */
    unsigned slot_capacity;
    uint64_t first, next, largest_acked; /* largest_acked + 1; 0: none */
    uint64_t unlost;                     /* below it nothing is on its way */
    uint64_t in_flight;                  /* bytes of records */
    unsigned probes;                     /* packets that no window holds back */
    bool is_blocked;                     /* somebody waits for room */
    bool is_held;                        /* the record callback had no room */
    bool is_bulk;                        /* a full packet has gone in this turn */
    uint64_t used_us;                    /* when the ring was last in use */

    /* losses and the rate */
    uint32_t srtt_us, rttvar_us, latest_us, min_us;
    uint64_t loss_us;      /* a packet is lost at this time if it stays unacknowledged; 0: none */
    uint64_t last_sent_us; /* that asks for an acknowledgement */
    unsigned timeouts;     /* in a row */
    unsigned overtaken;    /* packets that a late one may be behind before it counts as lost */
    unsigned patience;     /* … and how many eighths of a round trip */
    uint64_t cwnd, threshold;
    uint64_t round_end; /* slow start: the number that ends the present round */
    uint32_t round_us,
        last_round_us; /* the shortest sample of this round, and of the last; 0: none */
    uint32_t calm_us;  /* … when growth was slowed; 0: it isn't */
    unsigned round_samples, calm_rounds;
    uint64_t recovery_us; /* packets sent before this cause no further reduction */
    uint64_t epoch_us, w_max, w_reno;
    uint64_t k_ms;
    bool is_limited; /* by the window or by pacing, when something was last sent */
    unsigned judged, judged_lost;
    bool is_lossy;
    uint32_t wish; /* what the other side was told of acknowledgements, when it was */
    uint64_t wish_us;
    unsigned wish_repeats;
    uint64_t pace_us, pace_bytes;

    /* coming in: whole up to `came`, given to the user up to `taken` */
    struct ww_fast_ring in;
    uint64_t taken, came, in_top, announced;
    struct ww_fast_ranges early; /* bytes beyond `came` */
    struct ww_fast_ranges numbers;
    unsigned unacked;       /* packets since the last acknowledgement */
    uint64_t unacked_bytes; /* … and what was in them */
    uint32_t ack_after;     /* the other side wants one after so many bytes; 0: two packets */
    bool is_ack_due;
    uint64_t ack_us;     /* when one is due; 0: none */
    uint64_t largest_us; /* when the largest number came */
    uint8_t *scratch;    /* a message that wraps around the ring's end */

    /* datagrams: those that wait for more in their record, and those that came */
    uint8_t *pack; /* of WW_FAST_RECORD_BYTES_MAX, while it is in use */
    size_t pack_size;
    unsigned pack_count;
    enum ww_ecn pack_mark;
    uint32_t part_id;
    uint8_t *queue;
    size_t queue_capacity, queue_size, queue_at;
    size_t queue_end; /* of the record that is being taken; queue_at: none is */
    enum ww_ecn queue_mark;
    uint64_t part_uses;
    struct fast_part parts[WW_FAST_PARTS_TABLE];
};

static inline struct fast_sent *fast_slot(const struct ww_fast *fast, uint64_t number)
{
    return &fast->slots[number & (fast->slot_capacity - 1)];
}

/* --- fast_range.c */
bool ww_fast_ranges_init(struct ww_fast_ranges *ranges, unsigned most);
void ww_fast_ranges_free(struct ww_fast_ranges *ranges);
/* False: it would take more than there may be, or there is no memory; nothing is changed. */
bool ww_fast_ranges_add(struct ww_fast_ranges *ranges, uint64_t from, uint64_t to);
/* All below. */
void ww_fast_ranges_cut(struct ww_fast_ranges *ranges, uint64_t below);
/* The range that holds it; NULL. */
const struct ww_fast_range *ww_fast_ranges_find(const struct ww_fast_ranges *ranges,
                                                uint64_t value);
/* The first range that begins at or behind it; NULL. */
const struct ww_fast_range *ww_fast_ranges_after(const struct ww_fast_ranges *ranges,
                                                 uint64_t value);

/* --- fast_ring.c */
/* Makes room for [from, to), and keeps what is there from `from` on. False: no memory. */
bool ww_fast_ring_reserve(struct ww_fast_ring *ring, uint64_t from, uint64_t to);
void ww_fast_ring_put(struct ww_fast_ring *ring, uint64_t offset, const uint8_t *data, size_t size);
void ww_fast_ring_get(const struct ww_fast_ring *ring, uint64_t offset, uint8_t *out, size_t size);
/* Where the bytes are in one piece; NULL: they wrap around. */
uint8_t *ww_fast_ring_span(const struct ww_fast_ring *ring, uint64_t offset, size_t size);
/* The bytes in one piece with as many as `before` in front of them, which belong to others: whoever
 * writes there has to put them back. NULL: there is no such piece. */
uint8_t *ww_fast_ring_lend(const struct ww_fast_ring *ring, uint64_t offset, size_t before,
                           size_t size);
void ww_fast_ring_free(struct ww_fast_ring *ring);

/* --- fast_send.c */
void ww_fast_send_data(struct ww_fast *fast);
/* Something is on its way, or waits for a window to open: a timer is needed. */
bool ww_fast_is_waiting(const struct ww_fast *fast);
/* Everything that is not acknowledged will be sent again. */
void ww_fast_send_all_again(struct ww_fast *fast);
/* Bytes may be sent again, from here. */
void ww_fast_send_again(struct ww_fast *fast, uint64_t from, uint64_t to);

/* --- fast_ack.c */
/* Tells how often acknowledgements are wanted, if that has changed. */
void ww_fast_send_wish(struct ww_fast *fast);
int ww_fast_on_ack(struct ww_fast *fast, const uint8_t *record, size_t size);
void ww_fast_find_losses(struct ww_fast *fast);
/* The oldest packets of which nothing is expected; is_crowded: nor may be. */
void ww_fast_forget_slots(struct ww_fast *fast, bool is_crowded);
/* The oldest packets are lost, whatever became of them, and forgotten. */
void ww_fast_lose_oldest(struct ww_fast *fast, unsigned count);
/* Nothing is known of what is on its way. */
void ww_fast_forget_flight(struct ww_fast *fast);

/* --- fast_rate.c */
void ww_fast_rate_start(struct ww_fast *fast);
void ww_fast_rate_sample(struct ww_fast *fast, uint64_t sample_us, uint64_t delay_us);
void ww_fast_rate_acked(struct ww_fast *fast, uint64_t bytes, uint64_t sent_us);
void ww_fast_rate_lost(struct ww_fast *fast, uint64_t sent_us, bool is_persistent);
/* A packet's fate is known: how much the line loses. */
void ww_fast_rate_judge(struct ww_fast *fast, bool lost);
/* Slow start looks for a queue, by round trips: shorter ones can't have grown by what that takes.
 */
bool ww_fast_rate_looks(const struct ww_fast *fast);
uint64_t ww_fast_rate_timeout_us(const struct ww_fast *fast);
/* Bytes that pacing lets go now. */
uint64_t ww_fast_rate_pace(struct ww_fast *fast);
/* When pacing lets the next record go; 0: now. */
uint64_t ww_fast_rate_pace_us(const struct ww_fast *fast);

/* --- fast_receive.c */
int ww_fast_on_data(struct ww_fast *fast, const uint8_t *record, size_t size);
int ww_fast_on_wish(struct ww_fast *fast, const uint8_t *record, size_t size);
/* Sends an acknowledgement if one is due. */
void ww_fast_send_ack(struct ww_fast *fast);

/* --- fast_datagram.c */
int ww_fast_on_datagrams(struct ww_fast *fast, const uint8_t *record, size_t size,
                         enum ww_ecn mark);
int ww_fast_on_part(struct ww_fast *fast, const uint8_t *record, size_t size, enum ww_ecn mark);
void ww_fast_send_packed(struct ww_fast *fast);
