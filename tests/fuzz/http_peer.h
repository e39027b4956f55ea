/* A server connection over a socket pair, for the fuzz targets of room http: bytes in, then FIN,
 * until the server has closed. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Sends the prefix, then the data; the application collects, streams or answers by path. */
void http_peer_run(const void *prefix, size_t prefix_size, const uint8_t *data, size_t size);
