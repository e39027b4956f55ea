/* The ice thread: a GLib main loop for all agents, a queue of commands to it (GSources) and a queue
 * of events from it (one post a batch). Relies on ice_agent.c for libnice itself. It must never
 * call into the loop's objects: everything crosses by a queue, bounded where the network fills it.
 */
#include "ice_internal.h"

#include <gio/gio.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Datagrams on their way to the loop: 64 full flights; beyond it they are dropped as by a socket.
 */
#define DATA_EVENTS_MAX 4096

STAILQ_HEAD(event_list, ww_ice_event);

struct ww_ice_thread {
    struct ww_loop *loop;
    const struct ww_net_config *config;
    ww_ice_event_fn fn;
    void *arg;
    GMainContext *context;
    GMainLoop *glib_loop;
    GThread *glib_thread;
    char *stun_name; /* ice thread from here on */
    uint16_t stun_port;
    char *stun_host; /* the address that stun_name has, or NULL */
    bool resolving;
    pthread_mutex_t lock; /* guards what follows */
    struct event_list events;
    size_t data_count;
    bool posted;
};

/* Foreign callbacks have an id only; this is where they find the queue. Set while agents exist. */
static struct ww_ice_thread *current;

enum command_kind { COMMAND_START, COMMAND_CREDENTIALS, COMMAND_CANDIDATE, COMMAND_DONE };

struct command {
    enum command_kind kind;
    struct ww_ice *ice;
    char ufrag[WW_UFRAG_BYTES_MAX + 1];
    char password[WW_PASSWORD_BYTES_MAX + 1];
    struct ww_candidate candidate;
};

/* --- events ---------------------------------------------------------------------------------- */

static void free_event(struct ww_ice_event *event)
{
    if (event->kind == WW_ICE_PAIR && event->pair.fd >= 0)
        close(event->pair.fd);
    ww_free(event);
}

struct ww_ice_event *ww_ice_event_make(enum ww_ice_event_kind kind, uint64_t id, size_t size)
{
    struct ww_ice_event *event = ww_alloc(1, sizeof *event + size);
    if (!event)
        return NULL;
    event->kind = kind;
    event->id = id;
    event->size = size;
    if (kind == WW_ICE_PAIR)
        event->pair.fd = -1;
    return event;
}

static void deliver(void *unused)
{
    struct ww_ice_thread *thread = current;
    struct event_list events = STAILQ_HEAD_INITIALIZER(events);
    struct ww_ice_event *event;
    (void)unused;
    if (!thread)
        return;
    pthread_mutex_lock(&thread->lock);
    STAILQ_CONCAT(&events, &thread->events);
    thread->data_count = 0;
    thread->posted = false;
    pthread_mutex_unlock(&thread->lock);
    while ((event = STAILQ_FIRST(&events))) {
        STAILQ_REMOVE_HEAD(&events, entry);
        thread->fn(thread->arg, event);
        free_event(event);
    }
}

void ww_ice_event_emit(struct ww_ice_event *event)
{
    struct ww_ice_thread *thread = current;
    bool must_post = false, dropped = true;
    pthread_mutex_lock(&thread->lock);
    if (event->kind != WW_ICE_DATA || thread->data_count < DATA_EVENTS_MAX) {
        thread->data_count += event->kind == WW_ICE_DATA;
        STAILQ_INSERT_TAIL(&thread->events, event, entry);
        must_post = !thread->posted;
        thread->posted = true;
        dropped = false;
    }
    pthread_mutex_unlock(&thread->lock);
    if (dropped)
        free_event(event);
    if (must_post && ww_loop_post(thread->loop, deliver, NULL)) {
        pthread_mutex_lock(&thread->lock);
        thread->posted = false; /* the next event tries again */
        pthread_mutex_unlock(&thread->lock);
    }
}

/* --- the STUN server's address ------------------------------------------------------------------
 */

static void resolved(GObject *source, GAsyncResult *result, gpointer unused)
{
    GError *error = NULL;
    GList *addresses = g_resolver_lookup_by_name_finish(G_RESOLVER(source), result, &error);
    (void)unused;
    if (current) {
        current->resolving = false;
        if (addresses) {
            g_free(current->stun_host);
            current->stun_host = g_inet_address_to_string(addresses->data);
        } else {
            ww_log(WW_LOG_WARN, "net", "the STUN server's name doesn't resolve", "name=%s",
                   current->stun_name);
        }
    }
    g_resolver_free_addresses(addresses);
    g_clear_error(&error);
}

/* Asks without waiting: agents that start before the answer do without the server. */
static void resolve_stun(struct ww_ice_thread *thread)
{
    if (!thread->stun_name || thread->stun_host || thread->resolving)
        return;
    if (g_hostname_is_ip_address(thread->stun_name)) {
        thread->stun_host = g_strdup(thread->stun_name);
        return;
    }
    GResolver *resolver = g_resolver_get_default();
    thread->resolving = true;
    g_resolver_lookup_by_name_async(resolver, thread->stun_name, NULL, resolved, NULL);
    g_object_unref(resolver);
}

/* "host:port" or "[v6]:port". */
static int parse_stun(struct ww_ice_thread *thread, const char *text)
{
    const char *colon = strrchr(text, ':');
    char *end;
    if (!colon || colon == text || colon[1] < '0' || colon[1] > '9')
        return WW_EINVAL;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || port == 0 || port > UINT16_MAX)
        return WW_EINVAL;
    bool bracketed = text[0] == '[' && colon[-1] == ']';
    const char *host = text + bracketed;
    thread->stun_name = ww_strndup(host, (size_t)(colon - host) - bracketed);
    thread->stun_port = (uint16_t)port;
    return thread->stun_name ? 0 : WW_ENOMEM;
}

/* --- commands ------------------------------------------------------------------------------------
 */

static gboolean run_command(gpointer arg)
{
    struct command *command = arg;
    struct ww_ice *ice = command->ice;
    struct ww_ice_thread *thread = ice->thread;
    switch (command->kind) {
    case COMMAND_START:
        resolve_stun(thread);
        ww_ice_agent_start(ice, thread->loop, thread->context, thread->config, thread->stun_host,
                           thread->stun_port);
        break;
    case COMMAND_CREDENTIALS:
        if (ice->agent)
            nice_agent_set_remote_credentials(ice->agent, ice->stream, command->ufrag,
                                              command->password);
        break;
    case COMMAND_CANDIDATE:
        ww_ice_agent_set_candidate(ice, &command->candidate);
        break;
    case COMMAND_DONE:
        if (ice->agent)
            nice_agent_peer_candidate_gathering_done(ice->agent, ice->stream);
        break;
    }
    ww_free(command);
    return G_SOURCE_REMOVE;
}

static void queue(struct ww_ice_thread *thread, GSourceFunc fn, void *arg)
{
    /* One priority for all: GLib then keeps their order. */
    GSource *source = g_idle_source_new();
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, fn, arg, NULL);
    g_source_attach(source, thread->context);
    g_source_unref(source);
}

static struct command *make_command(enum command_kind kind, struct ww_ice *ice)
{
    struct command *command = ww_alloc(1, sizeof *command);
    if (!command)
        return NULL;
    command->kind = kind;
    command->ice = ice;
    return command;
}

static int send_command(enum command_kind kind, struct ww_ice *ice)
{
    struct command *command = make_command(kind, ice);
    if (!command)
        return WW_ENOMEM;
    queue(ice->thread, run_command, command);
    return 0;
}

/* Needs no memory of ours, so that a destroy can't fail. */
static gboolean stop_agent(gpointer arg)
{
    ww_ice_agent_stop(arg);
    ww_free(arg);
    return G_SOURCE_REMOVE;
}

int ww_ice_create(struct ww_ice_thread *thread, uint64_t id, bool controlling, struct ww_ice **ice)
{
    struct ww_ice *made = ww_alloc(1, sizeof *made);
    if (!made)
        return WW_ENOMEM;
    made->thread = thread;
    made->id = id;
    made->controlling = controlling;
    int code = send_command(COMMAND_START, made);
    if (code) {
        ww_free(made);
        return code;
    }
    *ice = made;
    return 0;
}

int ww_ice_remote_credentials(struct ww_ice *ice, const char *ufrag, const char *password)
{
    struct command *command = make_command(COMMAND_CREDENTIALS, ice);
    if (!command)
        return WW_ENOMEM;
    memcpy(command->ufrag, ufrag, strnlen(ufrag, WW_UFRAG_BYTES_MAX));
    memcpy(command->password, password, strnlen(password, WW_PASSWORD_BYTES_MAX));
    queue(ice->thread, run_command, command);
    return 0;
}

int ww_ice_remote_candidate(struct ww_ice *ice, const struct ww_candidate *candidate)
{
    struct command *command = make_command(COMMAND_CANDIDATE, ice);
    if (!command)
        return WW_ENOMEM;
    command->candidate = *candidate;
    queue(ice->thread, run_command, command);
    return 0;
}

int ww_ice_remote_done(struct ww_ice *ice)
{
    return send_command(COMMAND_DONE, ice);
}

bool ww_ice_send(struct ww_ice *ice, const void *data, size_t size)
{
    return nice_agent_send(ice->agent, ice->stream, 1, (guint)size, data) == (gint)size;
}

void ww_ice_destroy(struct ww_ice *ice)
{
    if (ice)
        queue(ice->thread, stop_agent, ice);
}

/* --- the thread
 * ------------------------------------------------------------------------------------ */

static gpointer run_thread(gpointer arg)
{
    struct ww_ice_thread *thread = arg;
    g_main_context_push_thread_default(thread->context);
    g_main_loop_run(thread->glib_loop);
    g_main_context_pop_thread_default(thread->context);
    return NULL;
}

static gboolean quit_thread(gpointer arg)
{
    struct ww_ice_thread *thread = arg;
    g_main_loop_quit(thread->glib_loop);
    return G_SOURCE_REMOVE;
}

static void free_thread(struct ww_ice_thread *thread)
{
    struct ww_ice_event *event;
    current = NULL;
    while ((event = STAILQ_FIRST(&thread->events))) {
        STAILQ_REMOVE_HEAD(&thread->events, entry);
        free_event(event);
    }
    g_main_loop_unref(thread->glib_loop);
    g_main_context_unref(thread->context);
    pthread_mutex_destroy(&thread->lock);
    g_free(thread->stun_host);
    ww_free(thread->stun_name);
    ww_free(thread);
}

int ww_ice_thread_create(struct ww_loop *loop, const struct ww_net_config *config,
                         ww_ice_event_fn fn, void *arg, struct ww_ice_thread **thread)
{
    GError *error = NULL;
    if (current)
        return WW_EEXIST;
    struct ww_ice_thread *made = ww_alloc(1, sizeof *made);
    if (!made)
        return WW_ENOMEM;
    made->loop = loop;
    made->config = config;
    made->fn = fn;
    made->arg = arg;
    STAILQ_INIT(&made->events);
    if (config->stun_server) {
        int code = parse_stun(made, config->stun_server);
        if (code) {
            ww_free(made);
            return code;
        }
    }
    pthread_mutex_init(&made->lock, NULL);
    made->context = g_main_context_new();
    made->glib_loop = g_main_loop_new(made->context, FALSE);
    current = made;
    made->glib_thread = g_thread_try_new("ice", run_thread, made, &error);
    if (!made->glib_thread) {
        ww_log(WW_LOG_ERROR, "net", "the ice thread can't start", "reason=\"%s\"", error->message);
        g_clear_error(&error);
        free_thread(made);
        return WW_ESYSTEM;
    }
    *thread = made;
    return 0;
}

void ww_ice_thread_destroy(struct ww_ice_thread *thread)
{
    if (!thread)
        return;
    /* Queued behind the stops of the agents, so these are done when the join returns. */
    queue(thread, quit_thread, thread);
    g_thread_join(thread->glib_thread);
    free_thread(thread);
}
