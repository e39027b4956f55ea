/* What runs on the ice thread: libnice's agents. Its signals carry a peer's id, never a pointer of
 * ours, and only make events. Remote candidates come here parsed and judged.
 */
#include <fcntl.h>
#include <gio/gio.h>
#include <interfaces.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ice_internal.h"

#define COMPONENT 1

static gpointer id_pointer(uint64_t id)
{
    return (gpointer)(uintptr_t)id;
}

static uint64_t pointer_id(gpointer pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

static void emit(enum ww_ice_event_kind kind, uint64_t id)
{
    struct ww_ice_event *event = ww_ice_event_make(kind, id, 0);
    if (event)
        ww_ice_event_emit(event);
}

static void address_from_nice(const NiceAddress *from, union ww_address *to)
{
    struct sockaddr_storage storage;
    memset(&storage, 0, sizeof storage);
    memset(to, 0, sizeof *to);
    nice_address_copy_to_sockaddr(from, (struct sockaddr *)&storage);
    if (storage.ss_family == AF_INET6)
        memcpy(&to->v6, &storage, sizeof to->v6);
    else
        memcpy(&to->v4, &storage, sizeof to->v4);
}

static enum ww_path_kind path_kind(NiceCandidateType type)
{
    switch (type) {
    case NICE_CANDIDATE_TYPE_HOST:
        return WW_PATH_HOST;
    case NICE_CANDIDATE_TYPE_SERVER_REFLEXIVE:
        return WW_PATH_SRFLX;
    case NICE_CANDIDATE_TYPE_PEER_REFLEXIVE:
        return WW_PATH_PRFLX;
    case NICE_CANDIDATE_TYPE_RELAYED:
        return WW_PATH_RELAY;
    }
    return WW_PATH_NONE;
}

/* --- libnice's signals --------------------------------------------------------------------------
 */

static void on_candidate(NiceAgent *agent, NiceCandidate *found, gpointer arg)
{
    struct ww_ice_event *event;
    (void)agent;
    if (found->transport != NICE_CANDIDATE_TRANSPORT_UDP)
        return;
    event = ww_ice_event_make(WW_ICE_CANDIDATE, pointer_id(arg), 0);
    if (!event)
        return;
    event->candidate.type = (enum ww_candidate_type)(path_kind(found->type) - WW_PATH_HOST);
    event->candidate.priority = found->priority;
    memcpy(event->candidate.foundation, found->foundation,
           strnlen(found->foundation, WW_FOUNDATION_BYTES_MAX));
    address_from_nice(&found->addr, &event->candidate.address);
    ww_ice_event_emit(event);
}

static void on_gathered(NiceAgent *agent, guint stream, gpointer arg)
{
    (void)agent;
    (void)stream;
    emit(WW_ICE_GATHERED, pointer_id(arg));
}

static void emit_pair(NiceAgent *agent, guint stream, uint64_t id)
{
    NiceCandidate *local, *remote;
    NiceComponentState state = nice_agent_get_component_state(agent, stream, COMPONENT);
    if ((state != NICE_COMPONENT_STATE_CONNECTED && state != NICE_COMPONENT_STATE_READY) ||
        !nice_agent_get_selected_pair(agent, stream, COMPONENT, &local, &remote))
        return;
    struct ww_ice_event *event = ww_ice_event_make(WW_ICE_PAIR, id, 0);
    if (!event)
        return;
    struct ww_ice_pair *pair = &event->pair;
    pair->ready = state == NICE_COMPONENT_STATE_READY;
    pair->is_udp = local->transport == NICE_CANDIDATE_TRANSPORT_UDP;
    pair->kind = WW_MAX(path_kind(local->type), path_kind(remote->type));
    address_from_nice(&local->addr, &pair->local);
    address_from_nice(&remote->addr, &pair->remote);
    GSocket *gsocket = nice_agent_get_selected_socket(agent, stream, COMPONENT);
    if (gsocket)
        pair->fd = fcntl(g_socket_get_fd(gsocket), F_DUPFD_CLOEXEC, 3);
    ww_ice_event_emit(event);
}

static void on_pair(NiceAgent *agent, guint stream, guint component, NiceCandidate *local,
                    NiceCandidate *remote, gpointer arg)
{
    (void)component;
    (void)local;
    (void)remote;
    emit_pair(agent, stream, pointer_id(arg));
}

static void on_state(NiceAgent *agent, guint stream, guint component, guint state, gpointer arg)
{
    (void)component;
    if (state == NICE_COMPONENT_STATE_FAILED)
        emit(WW_ICE_FAILED, pointer_id(arg));
    else
        emit_pair(agent, stream, pointer_id(arg));
}

static void on_data(NiceAgent *agent, guint stream, guint component, guint size, gchar *data,
                    gpointer arg)
{
    struct ww_ice_event *event = ww_ice_event_make(WW_ICE_DATA, pointer_id(arg), size);
    (void)agent;
    (void)stream;
    (void)component;
    if (!event)
        return;
    memcpy(event->data, data, size);
    ww_ice_event_emit(event);
}

/* --- commands
 * -------------------------------------------------------------------------------------- */

/* A machine may have no IPv6 at all. */
static bool has_ipv6_loopback(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool works = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return works;
}

static void add_local_address(NiceAgent *agent, const char *text)
{
    NiceAddress address;
    nice_address_init(&address);
    if (nice_address_set_from_string(&address, text))
        nice_agent_add_local_address(agent, &address);
}

static bool is_hidden(const struct ww_net_config *config, const char *text)
{
    uint8_t address[16];
    bool is_v4;

    if (ww_address_parse(text, strcspn(text, "%"), address, &is_v4))
        return false;
    for (size_t index = 0; index < config->hidden_count; index++) {
        if (ww_prefix_contains(&config->hidden[index], address))
            return true;
    }
    return false;
}

/* All that this machine has, but for what nodes have made: a peer can't be reached through the
 * tunnel that it carries. */
static void add_local_addresses(NiceAgent *agent, const struct ww_net_config *config)
{
    GList *all = nice_interfaces_get_local_ips(FALSE);
    for (GList *item = all; item; item = item->next) {
        if (!is_hidden(config, item->data))
            add_local_address(agent, item->data);
    }
    g_list_free_full(all, g_free);
}

/* libnice makes its sockets itself, each bound to an address of a host candidate. What it has sent
 * before they were marked is sent again by STUN's timers. */
static void mark_sockets(const struct ww_ice *ice, const struct ww_loop *loop)
{
    GPtrArray *sockets = nice_agent_get_sockets(ice->agent, ice->stream, COMPONENT);
    for (guint index = 0; sockets && index < sockets->len; index++)
        ww_loop_mark_socket(loop, g_socket_get_fd(g_ptr_array_index(sockets, index)));
    if (sockets)
        g_ptr_array_unref(sockets);
}

static bool emit_credentials(struct ww_ice *ice)
{
    gchar *ufrag = NULL, *password = NULL;
    struct ww_ice_event *event = ww_ice_event_make(WW_ICE_LOCAL, ice->id, 0);
    if (!event)
        return false;
    bool got = nice_agent_get_local_credentials(ice->agent, ice->stream, &ufrag, &password);
    if (got) {
        memcpy(event->local.ufrag, ufrag, strnlen(ufrag, WW_UFRAG_BYTES_MAX));
        memcpy(event->local.password, password, strnlen(password, WW_PASSWORD_BYTES_MAX));
        ww_ice_event_emit(event);
    } else {
        ww_free(event);
    }
    g_free(ufrag);
    g_free(password);
    return got;
}

void ww_ice_agent_start(struct ww_ice *ice, const struct ww_loop *loop, GMainContext *context,
                        const struct ww_net_config *config, const char *stun_host,
                        uint16_t stun_port)
{
    gpointer id = id_pointer(ice->id);
    NiceAgent *agent =
        nice_agent_new_full(context, NICE_COMPATIBILITY_RFC5245,
                            NICE_AGENT_OPTION_ICE_TRICKLE | NICE_AGENT_OPTION_CONSENT_FRESHNESS);
    ice->agent = agent;
    g_object_set(agent, "controlling-mode", (gboolean)ice->controlling, "upnp", FALSE, "ice-tcp",
                 FALSE, "ice-udp", TRUE, "keepalive-conncheck", TRUE, NULL);
    if (stun_host)
        g_object_set(agent, "stun-server", stun_host, "stun-server-port", (guint)stun_port, NULL);
    if (config->loopback_only) {
        add_local_address(agent, "127.0.0.1");
        if (has_ipv6_loopback())
            add_local_address(agent, "::1");
    } else {
        add_local_addresses(agent, config);
    }
    g_signal_connect(agent, "new-candidate-full", G_CALLBACK(on_candidate), id);
    g_signal_connect(agent, "candidate-gathering-done", G_CALLBACK(on_gathered), id);
    g_signal_connect(agent, "new-selected-pair-full", G_CALLBACK(on_pair), id);
    g_signal_connect(agent, "component-state-changed", G_CALLBACK(on_state), id);
    ice->stream = nice_agent_add_stream(agent, 1);
    if (ice->stream == 0)
        goto fail;
    if (config->port_max != 0)
        nice_agent_set_port_range(agent, ice->stream, COMPONENT, config->port_min,
                                  config->port_max);
    /* Before gathering: libnice drops what comes in while nobody is attached. */
    if (!nice_agent_attach_recv(agent, ice->stream, COMPONENT, context, on_data, id) ||
        !emit_credentials(ice) || !nice_agent_gather_candidates(agent, ice->stream))
        goto fail;
    mark_sockets(ice, loop);
    return;
fail:
    emit(WW_ICE_FAILED, ice->id);
}

void ww_ice_agent_set_candidate(struct ww_ice *ice, const struct ww_candidate *candidate)
{
    static const NiceCandidateType TYPES[] = {
        [WW_CANDIDATE_HOST] = NICE_CANDIDATE_TYPE_HOST,
        [WW_CANDIDATE_SRFLX] = NICE_CANDIDATE_TYPE_SERVER_REFLEXIVE,
        [WW_CANDIDATE_PRFLX] = NICE_CANDIDATE_TYPE_PEER_REFLEXIVE,
        [WW_CANDIDATE_RELAY] = NICE_CANDIDATE_TYPE_RELAYED,
    };
    if (!ice->agent || ice->stream == 0)
        return;
    NiceCandidate *made = nice_candidate_new(TYPES[candidate->type]);
    made->transport = NICE_CANDIDATE_TRANSPORT_UDP;
    made->stream_id = ice->stream;
    made->component_id = COMPONENT;
    made->priority = candidate->priority;
    memcpy(made->foundation, candidate->foundation,
           strnlen(candidate->foundation, sizeof made->foundation - 1));
    nice_address_set_from_sockaddr(&made->addr, &candidate->address.any);
    made->base_addr = made->addr;
    GSList *list = g_slist_append(NULL, made);
    nice_agent_set_remote_candidates(ice->agent, ice->stream, COMPONENT, list);
    g_slist_free_full(list, (GDestroyNotify)nice_candidate_free);
}

void ww_ice_agent_stop(struct ww_ice *ice)
{
    if (!ice->agent)
        return;
    if (ice->stream != 0)
        nice_agent_remove_stream(ice->agent, ice->stream);
    g_clear_object(&ice->agent);
}
