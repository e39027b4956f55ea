/* Whether a path carries marks of congestion (RFC 9000 13.4). Each side counts the records that
 * DTLS took, by their marks, and tells the other. The sender compares with what it sent: a path is
 * tried with up to ten small probes first, which nobody misses, and marked no more once it loses
 * what is marked, takes marks away or changes them. A side that never tells (an older one, or one
 * that doesn't read marks) is sent none. Pure: no clock, no socket. Loop's thread.
 */
#pragma once
#include "ww/base.h"
#include "ww/ecn.h"

#define WW_MARKS_BYTES 21 /* of a record that tells: kind 1, four counts and one, 4 bytes each */

/* As an enum ww_ecn says, records that came; all wrap around. */
struct ww_marks_counts {
    uint32_t by[4];
    uint32_t reliable_ce; /* of these: of the reliable class, and marked */
};

enum ww_marks_state {
    WW_MARKS_OFF,     /* none are sent: not on this path, or the other side has told nothing */
    WW_MARKS_TESTING, /* probes have them */
    WW_MARKS_ON,
    WW_MARKS_FAILED, /* until there is another path */
};

struct ww_marks {
    uint32_t trip_us; /* a round trip, as its owner knows it */
    /* going out, on this path */
    enum ww_marks_state state;
    bool can_mark, is_based;
    uint64_t since_us;           /* when the path came to be in use */
    uint32_t sent[4];            /* since then (or ever, on the first), by mark */
    struct ww_marks_counts base; /* what had come when it was first asked */
    struct ww_marks_counts told;
    uint64_t test_us; /* when the next probe goes; then the last one went */
    unsigned tests;
    uint32_t unheard;    /* records with marks, since one was last said to have come … */
    uint64_t unheard_us; /* … and when the first of them went */
    /* coming in */
    struct ww_marks_counts came;
    uint64_t tells_us; /* when they were last told; 0: never */
    bool is_due, is_urgent;
};

/* There is a path, and what goes there may be marked or not; the last one is forgotten. To be
 * called once when there is an association, then for each other path. */
void ww_marks_path(struct ww_marks *marks, bool can_mark, uint64_t now_us);

/* The mark that a record may have which wants this one. None while it may be that those with marks
 * are lost: what goes without has the other side tell. */
enum ww_ecn ww_marks_allow(const struct ww_marks *marks, enum ww_ecn mark, uint64_t now_us);
/* Every record that goes to the other side, with the mark that it has. */
void ww_marks_sent(struct ww_marks *marks, enum ww_ecn mark, uint64_t now_us);
/* True: a small probe is to be sent now, with ECT(0), past ww_marks_allow. */
bool ww_marks_test(struct ww_marks *marks, uint64_t now_us);

/* Every record that came and was sound, by its first byte. */
void ww_marks_heard(struct ww_marks *marks, uint8_t kind, enum ww_ecn mark);
/* True: the record is to be sent now, and ww_marks_has_told called if it could be. Four times a
 * second while something comes, sooner when the reliable class is marked. */
bool ww_marks_tell(struct ww_marks *marks, uint64_t now_us, uint8_t record[WW_MARKS_BYTES]);
void ww_marks_has_told(struct ww_marks *marks, uint64_t now_us);
/* The other side told. *is_congested: the reliable class is to slow down. WW_EPROTOCOL. */
int ww_marks_told(struct ww_marks *marks, const uint8_t *record, size_t size, uint64_t now_us,
                  bool *is_congested);

/* When one of the above is due by time alone; UINT64_MAX. */
uint64_t ww_marks_next_us(const struct ww_marks *marks);
/* "off", "testing", "on", "failed". */
const char *ww_marks_state_name(enum ww_marks_state state);
