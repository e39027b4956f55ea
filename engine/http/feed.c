/* A source's bytes on their way into a link's output.
 *
 * The source writes straight into the output's memory. At most WW_HTTP_OUTPUT_BYTES_MAX and one
 * piece are held. It must never read a source again that has ended.
 */
#include "feed.h"

#include <stdio.h>
#include <string.h>

/* "ffffffff\r\n" before a chunk, CRLF after it. Leading zeros are valid (RFC 9112 7.1). */
#define PREFIX_SIZE 10
#define SUFFIX_SIZE 2

void ww_http_feed_init(struct ww_http_feed *feed, const struct ww_http_source *source,
                       uint64_t size, bool chunked)
{
    *feed = (struct ww_http_feed){.source = *source, .left = size, .chunked = chunked};
}

bool ww_http_feed_active(const struct ww_http_feed *feed)
{
    return feed->source.read != NULL;
}

void ww_http_feed_end(struct ww_http_feed *feed, int code)
{
    struct ww_http_source source = feed->source;
    feed->source = (struct ww_http_source){0};
    if (source.done)
        source.done(source.arg, code);
}

/* What read returned; WW_ENOMEM. */
static ptrdiff_t read_piece(struct ww_http_feed *feed, struct evbuffer *output)
{
    size_t around = feed->chunked ? PREFIX_SIZE + SUFFIX_SIZE : 0;
    size_t capacity = (size_t)WW_MIN((uint64_t)WW_HTTP_PIECE_BYTES, feed->left);
    struct evbuffer_iovec space;
    if (evbuffer_reserve_space(output, (ev_ssize_t)(capacity + around), &space, 1) != 1)
        return WW_ENOMEM;
    uint8_t *out = space.iov_base;
    uint8_t *data = feed->chunked ? out + PREFIX_SIZE : out;
    ptrdiff_t size = feed->source.read(feed->source.arg, data, capacity);
    if (size <= 0)
        return size;
    WW_REQUIRE((size_t)size <= capacity);
    if (feed->chunked) {
        char prefix[PREFIX_SIZE + 1];
        snprintf(prefix, sizeof(prefix), "%08x\r\n", (unsigned)size);
        memcpy(out, prefix, PREFIX_SIZE);
        memcpy(data + size, "\r\n", SUFFIX_SIZE);
    }
    space.iov_len = (size_t)size + around;
    if (evbuffer_commit_space(output, &space, 1) != 0)
        return WW_ENOMEM;
    if (feed->left != WW_HTTP_SIZE_UNKNOWN)
        feed->left -= (uint64_t)size;
    return size;
}

int ww_http_feed_fill(struct ww_http_feed *feed, struct evbuffer *output)
{
    while (feed->left > 0 && evbuffer_get_length(output) < WW_HTTP_OUTPUT_BYTES_MAX) {
        ptrdiff_t size = read_piece(feed, output);
        if (size == WW_EAGAIN)
            return 0;
        if (size < 0)
            return (int)size;
        if (size > 0)
            continue;
        if (feed->left != WW_HTTP_SIZE_UNKNOWN)
            return WW_EIO; /* the source ended before its size */
        feed->left = 0;
        if (feed->chunked && evbuffer_add(output, "0\r\n\r\n", 5) != 0)
            return WW_ENOMEM;
    }
    return feed->left == 0 ? 1 : 0;
}
