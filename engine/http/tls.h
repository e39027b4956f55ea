/* TLS contexts: 1.3 only, no compression, no renegotiation. */
#pragma once
#include <openssl/ssl.h>

#include "ww/http.h"

/* What a client demands of the server's certificate; must outlive the SSL. */
struct ww_http_trust {
    struct ww_hash pin; /* zero: the system's CAs and the host's name */
    bool pin_missed;    /* out: the chain doesn't lead to the pin */
    bool untrusted;     /* out: refused for another reason */
};

/* WW_EKEYFILE. */
int ww_http_tls_server(const char *certificate_path, const char *key_path, SSL_CTX **tls);
int ww_http_tls_client(const struct ww_http_trust *trust, SSL_CTX **tls);
/* host: a name or a numeric address, for SNI and, without a pin, for the check. */
int ww_http_tls_dial(SSL_CTX *tls, struct ww_http_trust *trust, const char *host, SSL **ssl);
