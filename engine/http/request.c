/* What the application may ask of a request.
 *
 * A request can be found by its id only while it waits for its answer. Nothing here changes the
 * connection's state but pause, resume and wake.
 */
#include <string.h>

#include "server.h"

uint64_t ww_http_request_id(const struct ww_http_request *request)
{
    return request->id;
}

static struct ww_http_request *find(struct ww_http_server *server, uint64_t id)
{
    unsigned slot = (unsigned)(id & UINT16_MAX);
    if (id == 0 || slot >= server->config.connections_max)
        return NULL;
    struct ww_http_request *request = server->slots[slot];
    return request && request->id == id ? request : NULL;
}

struct ww_http_request *ww_http_request_find(struct ww_http_server *server, uint64_t id)
{
    struct ww_http_request *request = find(server, id);
    return request && request->visible ? request : NULL;
}

void ww_http_request_wake(struct ww_http_server *server, uint64_t id)
{
    struct ww_http_request *request = find(server, id);
    if (request && request->state == WW_HTTP_STATE_SEND)
        ww_http_link_poke(request->link);
}

const char *ww_http_request_method(const struct ww_http_request *request)
{
    return request->head.method;
}

const char *ww_http_request_path(const struct ww_http_request *request)
{
    return request->head.path;
}

const char *ww_http_request_query(const struct ww_http_request *request)
{
    return request->head.query;
}

const char *ww_http_request_header(const struct ww_http_request *request, const char *name)
{
    return ww_http_head_find(&request->head, name);
}

bool ww_http_request_header_at(const struct ww_http_request *request, size_t index,
                               struct ww_http_header *header)
{
    if (index >= request->head.field_count)
        return false;
    header->name = request->head.text + request->head.fields[index].name;
    header->value = request->head.text + request->head.fields[index].value;
    return true;
}

const uint8_t *ww_http_request_body(const struct ww_http_request *request, size_t *size)
{
    *size = request->body.size;
    return request->body.size > 0 ? request->body.data : (const uint8_t *)"";
}

const char *ww_http_request_peer(const struct ww_http_request *request)
{
    return request->peer;
}

int ww_http_request_exporter(const struct ww_http_request *request, const char *label,
                             uint8_t out[WW_HTTP_EXPORTER_SIZE])
{
    return ww_http_link_exporter(request->link, label, out);
}

uint64_t ww_http_request_connection(const struct ww_http_request *request)
{
    return request->connection;
}

void *ww_http_request_user(const struct ww_http_request *request)
{
    return request->user;
}

void ww_http_request_set_user(struct ww_http_request *request, void *user)
{
    request->user = user;
}

void ww_http_request_pause(struct ww_http_request *request)
{
    if (request->state != WW_HTTP_STATE_BODY)
        return;
    request->paused = true;
    ww_http_link_set_deadline(request->link, 0);
}

void ww_http_request_resume(struct ww_http_request *request)
{
    if (!request->paused)
        return;
    request->paused = false;
    ww_http_link_set_deadline(request->link, request->server->config.deadline_ms);
    ww_http_link_poke(request->link);
}
