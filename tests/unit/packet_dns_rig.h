/* A forwarder with a virtual upstream: what is sent is kept, and the test answers it. */
#pragma once

#include "dns_room.h"

#define RIG_SENT_MAX 512

struct rig_sent {
    uint64_t exchange;
    struct ww_target upstream;
    bool is_stream, is_over;
    size_t size;
    uint8_t query[WW_DNS_QUERY_BYTES];
};

struct rig {
    struct ww_loop *loop;
    struct ww_address_rules *rules;
    struct ww_dns *dns;
    struct rig_sent sent[RIG_SENT_MAX];
    size_t sent_count;
    int send_rc;              /* what send gives */
    const char *blocked;      /* a name that judge blocks … */
    enum ww_dns_verdict with; /* … so */
    size_t judged;
    char last_listed[WW_DNS_LIST_NAME_SIZE];
    int exclude_rc; /* what exclude gives; and what it got: */
    uint64_t hold;
    char excluded[256];
    size_t excluded_count;
    uint32_t excluded_s;
    uint8_t excluded_last[16];
    /* The last reply. */
    size_t replies, reply_size;
    uint8_t reply[DNS_MESSAGE_BYTES];
};

void rig_start(struct rig *rig, enum ww_dns_denial denial);
void rig_stop(struct rig *rig);
/* Asks; what is answered at once counts as a reply, too. flags are of a query without EDNS if 0. */
int rig_ask(struct rig *rig, struct ww_dns_ask *ask, const char *name, uint16_t type);
int rig_ask_message(struct rig *rig, struct ww_dns_ask *ask, const uint8_t *message, size_t size);

/* A message that is made up piece by piece. */
struct paper {
    size_t size;
    uint8_t bytes[DNS_MESSAGE_BYTES + 4096];
};
/* Begins with the query's head and question, as an answer with this code. */
void paper_answer(struct paper *paper, const struct rig_sent *sent, unsigned code);
/* A record in the answer section (1), or in another one; owner NULL: the question's name. */
void paper_record(struct paper *paper, int section, const char *owner, uint16_t type, uint32_t ttl,
                  const void *data, size_t size);
void paper_a(struct paper *paper, uint32_t ttl, const char *address);
void paper_cname(struct paper *paper, const char *owner, uint32_t ttl, const char *to);
void paper_soa(struct paper *paper, uint32_t ttl, uint32_t minimum);
/* Gives it to the forwarder. */
void rig_answer(struct rig *rig, const struct rig_sent *sent, const struct paper *paper);
/* The last one sent. */
struct rig_sent *rig_last(struct rig *rig);
/* The reply as lines; code of it. */
unsigned rig_text(const struct rig *rig, char *text, size_t size);
unsigned rig_get16(const uint8_t *at);
