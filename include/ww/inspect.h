/* What a flow is, from its first packets: the host name that it asks for, and the application.
 *
 * Names in TLS, HTTP and DNS are read here, in full; QUIC and applications are nDPI's, which cuts
 * names at 79 characters: a name that may have been cut counts as unknown, and so does whatever
 * nDPI made of it, as else anybody could choose where it is cut. At most WW_INSPECT_PACKETS packets
 * with payload and WW_INSPECT_BYTES bytes of a flow are looked at; then everything about it is
 * freed but the result, which is in struct ww_flow. Thread: the loop's. */
#pragma once

#include "ww/base.h"

struct ww_inspector;

/* Takes 20 ms and 7 MiB, so it is made when the first packet comes. One serves many tables, which
 * must be destroyed before it. *inspector is owned by the caller. WW_ENOMEM. */
int ww_inspector_create(struct ww_inspector **inspector);
/* NULL is fine. */
void ww_inspector_destroy(struct ww_inspector *inspector);
/* Flows that are looked at now, at most WW_INSPECTIONS_MAX: the oldest is given up for a new one.
 */
size_t ww_inspector_count(const struct ww_inspector *inspector);
