/* Inside of the room: what the kernel remembers of clients' connections goes with our table's. */
#pragma once

#include "exit_table.h"

struct mnl_socket;

/* NULL: there is none, and the kernel's own timeouts hold. Owned by the caller. */
struct mnl_socket *ww_exit_conntrack_open(void);
void ww_exit_conntrack_close(struct mnl_socket *socket);
/* source: the client's address of the pool. Whether there was something to forget is not asked. */
void ww_exit_conntrack_forget(struct mnl_socket *socket, const struct ww_exit_key *key,
                              const uint8_t source[16]);
