/* The edges of the tunnel: address rules, the client's local proxy, the provider's egress.
 *
 * Relies on loop and base. Knows nothing of contracts, transfer or peers: the node joins a proxy
 * or egress connection to a stream through callbacks. All sockets have bounded queues; a reader
 * is paused when its writer is behind.
 *
 * Glossary: target - a destination as an application or a peer gave it, not yet resolved;
 *           rule   - the named row of a table that denied an address or port;
 *           flow   - UDP to one destination from one local port;
 *           association - one SOCKS UDP ASSOCIATE, which lives as long as its TCP connection.
 *
 * All functions belong to the loop's thread. Two things hold in the proxy and in the egress:
 * - no callback is called from inside a function that the owner calls, so a caller need not fear
 *   that the object is gone when the function returns;
 * - an object is freed when its closing callback returns, or by the function that ends it
 *   without one. Any function may be called in any callback, the destroying ones included.
 */
#pragma once

#include "ww/address.h"
#include "ww/egress.h"
#include "ww/ip.h"
#include "ww/proxy.h"
