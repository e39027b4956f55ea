/* A client that never says where its traffic goes, with WW_NEVER_DECLARES set. Part of the rigged
 * program, which is linked with this in the place of client_declare (ld's --wrap). */
#include <stdlib.h>

#include "client.h"

/* The linker's names. */
int __wrap_client_declare(struct conn *conn, const struct ww_dest *dest);
int __real_client_declare(struct conn *conn, const struct ww_dest *dest);

int __wrap_client_declare(struct conn *conn, const struct ww_dest *dest)
{
    return getenv("WW_NEVER_DECLARES") ? 0 : __real_client_declare(conn, dest);
}
