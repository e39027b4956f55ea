/* One SCTP association: usrsctp's socket with an id for an address. Notifications and data are
 * read when the owner asks, never inside usrsctp's own calls.
 */
#include "sctp.h"

#include <errno.h>
#include <string.h>
#include <usrsctp.h>

#include "sctp_internal.h"

#define PORT 5000 /* what a=sctp-port says everywhere */
/* usrsctp adds it to the path's size that it is given. */
#define COMMON_HEADER_BYTES 12

#define MARKER_US          100000
#define MARKER_RETRANSMITS 65535 /* two days at RTO's 3 s: a peer ends long before */

/* In usrsctp's netinet/sctp.h, but missing from its public header. */
#define GET_SNDBUF_USE 0x00001101
struct send_buffer_use {
    sctp_assoc_t association;
    uint32_t send_bytes;
    uint32_t receive_bytes;
};

struct ww_sctp {
    struct socket *socket;
    uint64_t id;
    bool up;
    uint64_t marker_us; /* when the last marker was sent */
    struct ww_sctp_loss loss;
};

static void *address_of(uint64_t id)
{
    return (void *)(uintptr_t)id;
}

static void upcall(struct socket *socket, void *arg, int flags)
{
    (void)socket;
    (void)flags;
    ww_sctp_stack_ready((uint64_t)(uintptr_t)arg);
}

static bool set_option(struct socket *socket, int option, const void *value, socklen_t size)
{
    return usrsctp_setsockopt(socket, IPPROTO_SCTP, option, value, size) == 0;
}

static bool configure(struct socket *socket)
{
    static const uint16_t EVENTS[] = {SCTP_ASSOC_CHANGE, SCTP_STREAM_RESET_EVENT,
                                      SCTP_PARTIAL_DELIVERY_EVENT};
    const int on = 1;
    const struct linger abort_on_close = {.l_onoff = 1, .l_linger = 0};
    const struct sctp_assoc_value reset = {.assoc_id = SCTP_ALL_ASSOC,
                                           .assoc_value = SCTP_ENABLE_RESET_STREAM_REQ};
    const struct sctp_initmsg init = {.sinit_num_ostreams = WW_CHANNELS_MAX,
                                      .sinit_max_instreams = WW_CHANNELS_MAX};
    for (size_t i = 0; i < WW_ARRAY_COUNT(EVENTS); i++) {
        const struct sctp_event event = {
            .se_assoc_id = SCTP_ALL_ASSOC, .se_type = EVENTS[i], .se_on = 1};
        if (!set_option(socket, SCTP_EVENT, &event, sizeof event))
            return false;
    }
    return usrsctp_set_non_blocking(socket, 1) == 0 &&
           usrsctp_setsockopt(socket, SOL_SOCKET, SO_LINGER, &abort_on_close,
                              sizeof abort_on_close) == 0 &&
           set_option(socket, SCTP_NODELAY, &on, sizeof on) &&
           set_option(socket, SCTP_RECVRCVINFO, &on, sizeof on) &&
           set_option(socket, SCTP_ENABLE_STREAM_RESET, &reset, sizeof reset) &&
           set_option(socket, SCTP_INITMSG, &init, sizeof init);
}

/* The path's packet size is ours to say: usrsctp can't probe through us. It is the endpoint's
 * default before there is an association, since messages are cut into chunks of the smallest size
 * that the association ever had: said later, 16 KB packets would carry chunks of 1,252 bytes. */
static bool set_packet_bytes(struct socket *socket, size_t packet_bytes)
{
    struct sctp_paddrparams parameters;
    memset(&parameters, 0, sizeof parameters);
    parameters.spp_assoc_id = SCTP_FUTURE_ASSOC;
    parameters.spp_flags = SPP_PMTUD_DISABLE;
    parameters.spp_pathmtu = (uint32_t)packet_bytes - COMMON_HEADER_BYTES;
    return set_option(socket, SCTP_PEER_ADDR_PARAMS, &parameters, sizeof parameters);
}

static void set_address(uint64_t id, struct sockaddr_conn *address)
{
    memset(address, 0, sizeof *address);
    address->sconn_family = AF_CONN;
    address->sconn_port = htons(PORT);
    address->sconn_addr = address_of(id);
}

int ww_sctp_create(uint64_t id, size_t packet_bytes, struct ww_sctp **sctp)
{
    struct sockaddr_conn address;
    struct ww_sctp *made = ww_alloc(1, sizeof *made);
    if (!made)
        return WW_ENOMEM;
    made->id = id;
    usrsctp_register_address(address_of(id));
    made->socket = usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
    if (!made->socket)
        goto fail;
    set_address(id, &address);
    if (!configure(made->socket) || !set_packet_bytes(made->socket, packet_bytes) ||
        usrsctp_bind(made->socket, (struct sockaddr *)&address, sizeof address) ||
        usrsctp_set_upcall(made->socket, upcall, address_of(id)))
        goto fail;
    if (usrsctp_connect(made->socket, (struct sockaddr *)&address, sizeof address) &&
        errno != EINPROGRESS)
        goto fail;
    *sctp = made;
    return 0;
fail:
    ww_log(WW_LOG_ERROR, "net", "SCTP can't start", "errno=%d", errno);
    ww_sctp_destroy(made);
    return WW_ESYSTEM;
}

void ww_sctp_destroy(struct ww_sctp *sctp)
{
    if (!sctp)
        return;
    if (sctp->socket) {
        usrsctp_set_upcall(sctp->socket, NULL, NULL);
        usrsctp_close(sctp->socket);
    }
    usrsctp_deregister_address(address_of(sctp->id));
    ww_free(sctp);
}

void ww_sctp_note_out(struct ww_sctp *sctp, const uint8_t *packet, size_t size, uint64_t now_us)
{
    ww_sctp_loss_out(&sctp->loss, packet, size, now_us);
}

void ww_sctp_note_in(struct ww_sctp *sctp, const uint8_t *packet, size_t size, uint64_t now_us)
{
    ww_sctp_loss_in(&sctp->loss, packet, size, now_us);
}

uint64_t ww_sctp_adapt(struct ww_sctp *sctp, uint64_t now_us)
{
    struct sockaddr_conn address;
    if (!sctp->up)
        return 0;
    set_address(sctp->id, &address);
    return ww_sctp_loss_adapt(&sctp->loss, sctp->socket, &address, now_us);
}

void ww_sctp_beat(struct ww_sctp *sctp)
{
    struct sockaddr_conn address;
    if (!sctp->up)
        return;
    set_address(sctp->id, &address);
    ww_sctp_loss_beat(sctp->socket, &address);
}

void ww_sctp_forget_path(struct ww_sctp *sctp, uint64_t now_us)
{
    ww_sctp_loss_forget(&sctp->loss, now_us);
}

/* usrsctp 0.9.5 takes a short cut for SACKs without gaps while no message with a limit is out, and
 * as it seems never leaves fast recovery there: after losses the window stayed at two packets (230
 * kB/s) until the next loss. A message with a limit that is never reached, now and then, closes the
 * short cut, and the window grows again (tests/system/path.sh has it). */
static bool is_marker_due(struct ww_sctp *sctp)
{
    uint64_t now_us = ww_clock_mono_us();
    if (now_us - sctp->marker_us < MARKER_US)
        return false;
    sctp->marker_us = now_us;
    return true;
}

int ww_sctp_send(struct ww_sctp *sctp, const struct ww_sctp_message *message, const void *data,
                 size_t size)
{
    struct sctp_sendv_spa info;
    memset(&info, 0, sizeof info);
    info.sendv_flags = SCTP_SEND_SNDINFO_VALID;
    info.sendv_sndinfo.snd_sid = message->stream;
    info.sendv_sndinfo.snd_ppid = htonl(message->ppid);
    info.sendv_sndinfo.snd_flags = SCTP_EOR | (message->unordered ? SCTP_UNORDERED : 0);
    bool reliable = message->max_retransmits < 0;
    if (!reliable || is_marker_due(sctp)) {
        info.sendv_flags |= SCTP_SEND_PRINFO_VALID;
        info.sendv_prinfo.pr_policy = SCTP_PR_SCTP_RTX;
        info.sendv_prinfo.pr_value =
            reliable ? MARKER_RETRANSMITS : (uint32_t)message->max_retransmits;
    }
    if (usrsctp_sendv(sctp->socket, data, size, NULL, 0, &info, sizeof info, SCTP_SENDV_SPA, 0) >=
        0)
        return 0;
    /* ENOBUFS and ENOMEM pass, too. */
    if (errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM)
        return WW_EAGAIN;
    ww_log(WW_LOG_INFO, "net", "SCTP can't send", "errno=%d bytes=%zu", errno, size);
    return WW_ECLOSED;
}

size_t ww_sctp_buffered(const struct ww_sctp *sctp)
{
    struct send_buffer_use use;
    socklen_t size = sizeof use;
    memset(&use, 0, sizeof use);
    if (usrsctp_getsockopt(sctp->socket, IPPROTO_SCTP, GET_SNDBUF_USE, &use, &size))
        return 0;
    return use.send_bytes;
}

/* --- receiving ------------------------------------------------------------------------------ */

static void read_association(struct ww_sctp *sctp, const struct sctp_assoc_change *change,
                             struct ww_sctp_received *received)
{
    switch (change->sac_state) {
    case SCTP_COMM_UP:
        sctp->up = true;
        received->kind = WW_SCTP_UP;
        break;
    case SCTP_COMM_LOST:
    case SCTP_SHUTDOWN_COMP:
    case SCTP_CANT_STR_ASSOC:
        sctp->up = false;
        received->kind = WW_SCTP_DOWN;
        ww_log(WW_LOG_DEBUG, "net", "SCTP is down", "state=%u error=%u", change->sac_state,
               change->sac_error);
        break;
    case SCTP_RESTART:
        /* Channels' state would be lost on one side only: inside one DTLS association no sound
         * peer restarts. */
        received->kind = WW_SCTP_DOWN;
        break;
    default:
        break;
    }
}

static void read_reset(const struct sctp_stream_reset_event *event, size_t size,
                       struct ww_sctp_received *received)
{
    size_t head = offsetof(struct sctp_stream_reset_event, strreset_stream_list);
    size_t count = WW_MIN((size - head) / 2, ((size_t)event->strreset_length - head) / 2);
    if (event->strreset_length < head)
        return;
    for (size_t i = 0; i < count; i++) {
        if (event->strreset_stream_list[i] < WW_CHANNELS_MAX)
            received->streams |= (uint64_t)1 << event->strreset_stream_list[i];
    }
    if (count == 0) /* all */
        received->streams = UINT64_MAX;
    if (event->strreset_flags & (SCTP_STREAM_RESET_DENIED | SCTP_STREAM_RESET_FAILED))
        received->kind = WW_SCTP_RESET_FAILED;
    else if (event->strreset_flags & SCTP_STREAM_RESET_INCOMING_SSN)
        received->kind = WW_SCTP_RESET_IN;
    else
        received->kind = WW_SCTP_RESET_OUT;
}

static void read_notification(struct ww_sctp *sctp, const void *data, size_t size,
                              struct ww_sctp_received *received)
{
    const union sctp_notification *notification = data;
    received->kind = WW_SCTP_OTHER;
    if (size < sizeof notification->sn_header)
        return;
    if (notification->sn_header.sn_type == SCTP_ASSOC_CHANGE &&
        size >= offsetof(struct sctp_assoc_change, sac_info)) {
        read_association(sctp, &notification->sn_assoc_change, received);
    } else if (notification->sn_header.sn_type == SCTP_STREAM_RESET_EVENT &&
               size >= offsetof(struct sctp_stream_reset_event, strreset_stream_list)) {
        read_reset(&notification->sn_strreset_event, size, received);
    } else if (notification->sn_header.sn_type == SCTP_PARTIAL_DELIVERY_EVENT &&
               size >= sizeof notification->sn_pdapi_event) {
        received->kind = WW_SCTP_ABANDONED;
        received->stream = (uint16_t)notification->sn_pdapi_event.pdapi_stream;
    }
}

void ww_sctp_receive(struct ww_sctp *sctp, void *buffer, size_t capacity,
                     struct ww_sctp_received *received)
{
    struct sctp_rcvinfo info;
    struct sockaddr_conn from;
    socklen_t from_size = sizeof from, info_size = sizeof info;
    unsigned info_type = SCTP_RECVV_NOINFO;
    int flags = 0;

    memset(received, 0, sizeof *received);
    ssize_t size = usrsctp_recvv(sctp->socket, buffer, capacity, (struct sockaddr *)&from,
                                 &from_size, &info, &info_size, &info_type, &flags);
    if (size < 0) {
        received->kind = errno == EWOULDBLOCK || errno == EINTR ? WW_SCTP_NOTHING : WW_SCTP_DOWN;
        return;
    }
    if (flags & MSG_NOTIFICATION) {
        read_notification(sctp, buffer, (size_t)size, received);
        return;
    }
    /* End of file: the other side shut down. */
    if (size == 0 && !(flags & MSG_EOR)) {
        received->kind = sctp->up ? WW_SCTP_DOWN : WW_SCTP_NOTHING;
        return;
    }
    received->kind = WW_SCTP_DATA;
    received->size = (size_t)size;
    received->is_end = (flags & MSG_EOR) != 0;
    if (info_type == SCTP_RECVV_RCVINFO) {
        received->stream = info.rcv_sid;
        received->ppid = ntohl(info.rcv_ppid);
    }
}

/* --- streams ---------------------------------------------------------------------------------- */

int ww_sctp_reset(struct ww_sctp *sctp, uint16_t stream)
{
    union {
        struct sctp_reset_streams request;
        uint8_t space[sizeof(struct sctp_reset_streams) + sizeof(uint16_t)];
    } reset;
    memset(&reset, 0, sizeof reset);
    reset.request.srs_assoc_id = SCTP_ALL_ASSOC;
    reset.request.srs_flags = SCTP_STREAM_RESET_OUTGOING;
    reset.request.srs_number_streams = 1;
    memcpy(reset.space + offsetof(struct sctp_reset_streams, srs_stream_list), &stream,
           sizeof stream);
    return set_option(sctp->socket, SCTP_RESET_STREAMS, &reset, sizeof reset) ? 0 : WW_EAGAIN;
}

static bool get_status(const struct ww_sctp *sctp, struct sctp_status *status)
{
    socklen_t size = sizeof *status;
    memset(status, 0, sizeof *status);
    return usrsctp_getsockopt(sctp->socket, IPPROTO_SCTP, SCTP_STATUS, status, &size) == 0;
}

unsigned ww_sctp_stream_count(const struct ww_sctp *sctp)
{
    struct sctp_status status;
    if (!get_status(sctp, &status))
        return 0;
    return WW_MIN(WW_CHANNELS_MAX, WW_MIN(status.sstat_instrms, status.sstat_outstrms));
}

uint32_t ww_sctp_rtt_us(const struct ww_sctp *sctp)
{
    struct sctp_status status;
    return get_status(sctp, &status) ? status.sstat_primary.spinfo_srtt * 1000 : 0;
}
