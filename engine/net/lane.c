/* Batches of datagrams in and out of a lane's socket. One system call moves up to 64 of them. No
 * allocation per packet: batches come from a pool and go back to it, an idle lane holds none.
 */
#include "lane.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "lane_internal.h"

/* A GSO send is one IP packet to the kernel: below 65,507 (IPv4) and 65,487 (IPv6). */
#define BATCH_BYTES    65000
#define BATCH_SEGMENTS 64 /* the kernel's UDP_MAX_SEGMENTS */
#define BATCHES_MAX    32 /* waiting in one lane: 2 MB, then datagrams are dropped */
#define POOL_MAX       64 /* kept for the next use: 4 MB in all */
#define READS_PER_TURN 16 /* system calls before others have their turn: up to 1 MB */
#define RECEIVE_BYTES  65536

struct batch {
    TAILQ_ENTRY(batch) entry;
    size_t size;
    size_t segment_size; /* all but the last are this long */
    unsigned count;
    bool full; /* nothing may follow: a shorter segment was the last */
    enum ww_ecn mark;
    uint8_t data[BATCH_BYTES];
};
TAILQ_HEAD(batch_list, batch);

struct ww_lane_room {
    struct ww_loop *loop;
    struct batch_list pool;
    unsigned pool_count;
    unsigned lane_count;
    uint8_t receive_buffer[RECEIVE_BYTES];
};

struct ww_lane {
    struct ww_lane_room *room;
    int fd;
    struct ww_watch *watch;
    union ww_address remote;
    struct ww_lane_callbacks callbacks;
    void *arg;
    struct batch_list batches;
    unsigned batch_count;
    bool blocked; /* the socket's buffer is full: waiting for it to drain */
    bool paused;  /* nothing is received */
    struct {      /* what it has on its own thread, while another has borrowed it */
        struct ww_lane_room *room;
        struct ww_watch *watch;
        struct ww_lane_callbacks callbacks;
        void *arg;
    } home;
    bool no_segmentation;
    struct ww_lane_counters counters;
};

static struct batch *take_batch(struct ww_lane_room *room)
{
    struct batch *batch = TAILQ_FIRST(&room->pool);
    if (batch) {
        TAILQ_REMOVE(&room->pool, batch, entry);
        room->pool_count--;
    } else {
        batch = ww_buffer_alloc(sizeof *batch);
        if (!batch)
            return NULL;
    }
    batch->size = 0;
    batch->segment_size = 0;
    batch->count = 0;
    batch->full = false;
    return batch;
}

static void give_batch(struct ww_lane_room *room, struct batch *batch)
{
    if (room->pool_count >= POOL_MAX) {
        ww_buffer_free(batch, sizeof *batch);
        return;
    }
    TAILQ_INSERT_HEAD(&room->pool, batch, entry);
    room->pool_count++;
}

static void empty_pool(struct ww_lane_room *room)
{
    struct batch *batch;
    while ((batch = TAILQ_FIRST(&room->pool))) {
        TAILQ_REMOVE(&room->pool, batch, entry);
        ww_buffer_free(batch, sizeof *batch);
    }
    room->pool_count = 0;
}

int ww_lane_room_create(struct ww_loop *loop, struct ww_lane_room **room)
{
    struct ww_lane_room *made = ww_buffer_alloc(sizeof *made);
    if (!made)
        return WW_ENOMEM;
    made->loop = loop;
    made->pool_count = made->lane_count = 0;
    TAILQ_INIT(&made->pool);
    *room = made;
    return 0;
}

void ww_lane_room_destroy(struct ww_lane_room *room)
{
    WW_REQUIRE(!room || room->lane_count == 0);
    ww_buffer_free(room, sizeof *room);
}

/* --- sending ---------------------------------------------------------------------------------- */

static void add_control(struct msghdr *message, int level, int type, const void *value, size_t size)
{
    struct cmsghdr *header =
        (struct cmsghdr *)(void *)((uint8_t *)message->msg_control + message->msg_controllen);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), value, size);
    message->msg_controllen += CMSG_SPACE(size);
}

static ssize_t send_bytes(struct ww_lane *lane, uint8_t *data, size_t size, size_t segment_size,
                          enum ww_ecn mark)
{
    union {
        struct cmsghdr header;
        uint8_t space[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec vector = {.iov_base = data, .iov_len = size};
    struct msghdr message = {
        .msg_name = &lane->remote,
        .msg_namelen = ww_address_size(&lane->remote),
        .msg_iov = &vector,
        .msg_iovlen = 1,
    };
    const uint16_t segment = (uint16_t)segment_size;
    const int class = (int)mark;
    bool is_v6 = lane->remote.any.sa_family == AF_INET6;
    if (segment_size < size || mark != WW_ECN_NONE) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
    }
    if (segment_size < size)
        add_control(&message, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
    if (mark != WW_ECN_NONE)
        add_control(&message, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_TCLASS : IP_TOS,
                    &class, sizeof class);
    return sendmsg(lane->fd, &message, MSG_DONTWAIT);
}

static bool is_full(int error)
{
    return error == EAGAIN || error == ENOBUFS;
}

/* Where the device can't split (EIO), or a segment is longer than the link's MTU (EINVAL,
 * EMSGSIZE): one by one, and the kernel may say no to each. */
static void send_singly(struct ww_lane *lane, struct batch *batch)
{
    for (size_t sent = 0; sent < batch->size; sent += batch->segment_size) {
        size_t size = WW_MIN(batch->segment_size, batch->size - sent);
        if (send_bytes(lane, batch->data + sent, size, size, batch->mark) < 0)
            lane->counters.dropped++;
    }
}

/* False when the socket is full and the batch must wait. */
static bool send_batch(struct ww_lane *lane, struct batch *batch)
{
    if (lane->no_segmentation && batch->count > 1) {
        send_singly(lane, batch);
        return true;
    }
    if (send_bytes(lane, batch->data, batch->size, batch->segment_size, batch->mark) >= 0)
        return true;
    if (is_full(errno))
        return false;
    if (batch->count > 1 && (errno == EIO || errno == EINVAL || errno == EMSGSIZE)) {
        ww_log(WW_LOG_INFO, "net", "no UDP_SEGMENT on this path", "errno=%d", errno);
        lane->no_segmentation = true;
        send_singly(lane, batch);
        return true;
    }
    lane->counters.dropped += batch->count; /* unreachable for now: SCTP sends again */
    return true;
}

static void watch_for(struct ww_lane *lane)
{
    ww_watch_set(lane->watch,
                 (lane->paused ? 0 : WW_WATCH_READ) | (lane->blocked ? WW_WATCH_WRITE : 0));
}

void ww_lane_flush(struct ww_lane *lane)
{
    struct batch *batch;
    if (lane->blocked)
        return;
    while ((batch = TAILQ_FIRST(&lane->batches))) {
        if (!send_batch(lane, batch)) {
            lane->blocked = true;
            watch_for(lane);
            return;
        }
        TAILQ_REMOVE(&lane->batches, batch, entry);
        lane->batch_count--;
        give_batch(lane->room, batch);
    }
}

/* The batch that a datagram of this size and mark may join, or a new one. Only the last one grows:
 * what was before goes at once, while it is in the cache. */
static struct batch *find_batch(struct ww_lane *lane, size_t size, enum ww_ecn mark, bool alone)
{
    struct batch *last = TAILQ_LAST(&lane->batches, batch_list);
    if (last && !alone && !last->full && last->mark == mark && last->count < BATCH_SEGMENTS &&
        size <= last->segment_size && last->size + size <= BATCH_BYTES)
        return last;
    ww_lane_flush(lane);
    if (lane->batch_count >= BATCHES_MAX)
        return NULL;
    struct batch *batch = take_batch(lane->room);
    if (!batch)
        return NULL;
    batch->segment_size = size;
    batch->mark = mark;
    TAILQ_INSERT_TAIL(&lane->batches, batch, entry);
    lane->batch_count++;
    return batch;
}

/* Room for one more datagram at the batch's end, which is counted. */
static uint8_t *extend_batch(struct ww_lane *lane, struct batch *batch, size_t size)
{
    uint8_t *out = batch->data + batch->size;
    batch->size += size;
    batch->count++;
    batch->full = size < batch->segment_size;
    lane->counters.datagrams_sent++;
    lane->counters.bytes_sent += size;
    return out;
}

bool ww_lane_has_room(const struct ww_lane *lane)
{
    return lane->batch_count < BATCHES_MAX / 2;
}

bool ww_lane_send(struct ww_lane *lane, const uint8_t *data, size_t size, enum ww_ecn mark,
                  bool alone)
{
    struct batch *batch = size <= BATCH_BYTES ? find_batch(lane, size, mark, alone) : NULL;
    if (!batch) {
        lane->counters.dropped++;
        return false;
    }
    memcpy(extend_batch(lane, batch, size), data, size);
    batch->full |= alone;
    return true;
}

bool ww_lane_send_pieces(struct ww_lane *lane, const uint8_t *head, size_t head_size,
                         const uint8_t *record, size_t size, size_t each, unsigned count,
                         enum ww_ecn mark)
{
    size_t segment = head_size + each;
    WW_REQUIRE(segment <= BATCH_BYTES);
    if (lane->batch_count + 1 >= BATCHES_MAX) { /* it may take two: all of it goes, or nothing */
        lane->counters.dropped += count;
        return false;
    }
    for (unsigned index = 0; index < count; index++) {
        struct batch *batch = TAILQ_LAST(&lane->batches, batch_list);
        bool begins = batch && batch->segment_size != segment; /* a shorter one would end a batch */
        size_t from = index * each, part = WW_MIN(each, size - from);
        batch = find_batch(lane, segment, mark, begins);
        if (!batch) {
            lane->counters.dropped += count - index;
            return false;
        }
        uint8_t *out = extend_batch(lane, batch, segment);
        memcpy(out, head, head_size);
        out[1] = (uint8_t)index;
        memcpy(out + head_size, record + from, part);
        memset(out + head_size + part, 0, each - part);
    }
    return true;
}

/* --- receiving ----------------------------------------------------------------------------------
 */

/* How long each datagram of a batch is, and the mark of all: the kernel puts none together whose
 * traffic classes differ. IPv4 tells of it in one byte. */
static size_t read_control(struct msghdr *message, size_t size, enum ww_ecn *mark)
{
    size_t each = size;
    *mark = WW_ECN_NONE;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        int value = 0;
        if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_TOS) {
            *mark = (enum ww_ecn)(*CMSG_DATA(header) & 3);
            continue;
        }
        memcpy(&value, CMSG_DATA(header), sizeof value);
        if (header->cmsg_level == SOL_UDP && header->cmsg_type == UDP_GRO && value > 0)
            each = (size_t)value;
        else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_TCLASS)
            *mark = (enum ww_ecn)(value & 3);
    }
    return each;
}

/* False when there is nothing. */
static bool receive_batch(struct ww_lane *lane)
{
    union {
        struct cmsghdr header;
        uint8_t space[2 * CMSG_SPACE(sizeof(int))];
    } control;
    uint8_t *buffer = lane->room->receive_buffer;
    struct iovec vector = {.iov_base = buffer, .iov_len = RECEIVE_BYTES};
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    ssize_t got = recvmsg(lane->fd, &message, MSG_DONTWAIT);
    if (got < 0)
        return errno != EAGAIN; /* an ICMP error of an earlier send: go on */
    size_t size = (size_t)got;
    enum ww_ecn mark;
    size_t each = read_control(&message, size, &mark);
    if (size == 0)
        return true;
    lane->counters.datagrams_received += (size + each - 1) / each;
    lane->counters.bytes_received += size;
    lane->callbacks.datagrams(lane->arg, buffer, size, each, mark);
    return true;
}

static void on_ready(void *arg, int fd, unsigned events)
{
    struct ww_lane *lane = arg;
    (void)fd;
    if (events & WW_WATCH_WRITE) {
        lane->blocked = false;
        watch_for(lane);
        ww_lane_flush(lane);
    }
    if (events & WW_WATCH_READ) {
        for (int i = 0; i < READS_PER_TURN && receive_batch(lane); i++)
            ;
    }
    lane->callbacks.batch_end(lane->arg);
}

/* --- life ----------------------------------------------------------------------------------------
 */

int ww_lane_create(struct ww_lane_room *room, int nice_fd, const union ww_address *remote,
                   const struct ww_lane_callbacks *callbacks, void *arg, struct ww_lane **lane)
{
    int code;
    struct ww_lane *made = ww_alloc(1, sizeof *made);
    if (!made)
        return WW_ENOMEM;
    made->room = room;
    room->lane_count++;
    made->fd = -1;
    made->remote = *remote;
    made->callbacks = *callbacks;
    made->arg = arg;
    TAILQ_INIT(&made->batches);
    code = ww_lane_socket_open(nice_fd, &made->fd);
    if (code)
        goto fail;
    code = ww_watch_create(room->loop, made->fd, WW_WATCH_READ, on_ready, made, &made->watch);
    if (code)
        goto fail;
    *lane = made;
    return 0;
fail:
    ww_lane_destroy(made);
    return code;
}

void ww_lane_destroy(struct ww_lane *lane)
{
    struct batch *batch;
    if (!lane)
        return;
    if (lane->watch)
        ww_lane_flush(lane);
    while ((batch = TAILQ_FIRST(&lane->batches))) {
        TAILQ_REMOVE(&lane->batches, batch, entry);
        give_batch(lane->room, batch);
    }
    ww_watch_destroy(lane->watch);
    if (lane->fd >= 0)
        close(lane->fd);
    if (--lane->room->lane_count == 0)
        empty_pool(lane->room);
    ww_free(lane);
}

void ww_lane_counters(const struct ww_lane *lane, struct ww_lane_counters *counters)
{
    *counters = lane->counters;
}

/* --- on another thread --------------------------------------------------------------------------
 */

void ww_lane_rest(struct ww_lane *lane)
{
    ww_watch_set(lane->watch, 0);
}

int ww_lane_borrow(struct ww_lane *lane, struct ww_lane_room *room,
                   const struct ww_lane_callbacks *callbacks, void *arg)
{
    struct ww_watch *watch;
    int code = ww_watch_create(room->loop, lane->fd, 0, on_ready, lane, &watch);
    if (code)
        return code;
    lane->home.room = lane->room;
    lane->home.watch = lane->watch;
    lane->home.callbacks = lane->callbacks;
    lane->home.arg = lane->arg;
    lane->room = room;
    room->lane_count++;
    lane->watch = watch;
    lane->callbacks = *callbacks;
    lane->arg = arg;
    watch_for(lane);
    return 0;
}

void ww_lane_give_back(struct ww_lane *lane)
{
    ww_watch_destroy(lane->watch);
    if (--lane->room->lane_count == 0)
        empty_pool(lane->room);
    lane->room = lane->home.room;
    lane->watch = lane->home.watch;
    lane->callbacks = lane->home.callbacks;
    lane->arg = lane->home.arg;
    lane->paused = false;
}

void ww_lane_resume(struct ww_lane *lane)
{
    watch_for(lane);
}

void ww_lane_pause(struct ww_lane *lane, bool is_paused)
{
    lane->paused = is_paused;
    watch_for(lane);
}
