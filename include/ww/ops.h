/* The trusted Lua VM, its namespaces, and the control socket.
 *
 * Trusted Lua ships with the program (lua/): it composes routes, workflows and the command line,
 * and may use everything that is bound here. One binding file per namespace (bind_*.c). Rooms
 * above bind their own functions through `struct ww_call`, without the Lua API.
 *
 * A function bound to Lua takes one table of named arguments and gives one table of results, or
 * nil and an error table {code, what, fix, reason}. C calls back by an event (ww_ops_emit: the
 * handler that Lua set with ww.on) or by a function that Lua passed in (ww_call_function). Both
 * only from the loop, never from inside a bound function: use ww_loop_post there.
 * Thread: the loop's.
 */
#pragma once
#include "ww/amount.h"
#include "ww/id.h"
#include "ww/loop.h"

struct ww_ops;
struct ww_ledger;
struct ww_store;

struct ww_ops_config {
    const char *lua_folder; /* looked at before the built-in scripts; NULL: built-in only */
    int argc;
    char *const *argv;        /* borrowed for the VM's life */
    uint64_t fail_allocation; /* tests: the n-th allocation of the VM fails; 0: none */
};
/* When memory for Lua runs out later, the process ends with 75, at once: see
 * docs/internals/errors.md. WW_ENOMEM. */
int ww_ops_create(struct ww_loop *loop, const struct ww_ops_config *config, struct ww_ops **ops);
/* Requires the module (such as "ops.main"), calls its `main`, then runs the loop until
 * ww.exit(code). Returns the exit code; 70 when the script failed. */
int ww_ops_run(struct ww_ops *ops, const char *module);
void ww_ops_destroy(struct ww_ops *ops);
struct ww_loop *ww_ops_loop(struct ww_ops *ops);

/* --- calls ------------------------------------------------------------------------------------ */

#define WW_CALL_DEPTH_MAX   8
#define WW_CALL_REASON_SIZE 257

/* One call in either direction. Fields are private. */
struct ww_call {
    struct ww_ops *ops;
    void *lua;
    int arguments; /* stack index of the arguments' table, 0 if none */
    int depth;     /* open result tables */
    int tables[WW_CALL_DEPTH_MAX];
    uint32_t counts[WW_CALL_DEPTH_MAX];
    char reason[WW_CALL_REASON_SIZE];
    bool absent; /* the reason says that an argument is missing */
};

/* 0, or a WW_E… that becomes the error table. */
typedef int (*ww_bound_fn)(void *context, struct ww_call *call);
struct ww_ops_function {
    const char *name;
    ww_bound_fn fn;
};
/* Makes ww.<space>.<name> for each function, besides those that are there. context is borrowed. */
int ww_ops_bind(struct ww_ops *ops, const char *space, const struct ww_ops_function *functions,
                size_t count, void *context);

/* Arguments. Each: 0; WW_ENOTFOUND when absent (nil; a function that returns this code next tells
 * Lua WW_EINVAL); WW_EINVAL when of another type or range, with the reason set. Text is borrowed
 * until the function returns. */
int ww_call_text(struct ww_call *call, const char *name, const char **text, size_t *size);
int ww_call_u64(struct ww_call *call, const char *name,
                uint64_t *value); /* number or decimal text */
int ww_call_bool(struct ww_call *call, const char *name, bool *value);
int ww_call_hash(struct ww_call *call, const char *name, struct ww_hash *value); /* base32 */
int ww_call_id(struct ww_call *call, const char *name, struct ww_id *value);     /* hex */
int ww_call_amount(struct ww_call *call, const char *name,
                   struct ww_amount *value); /* decimal text */
/* The index-th (from 0) text of a list. WW_ENOTFOUND past its end. */
int ww_call_text_at(struct ww_call *call, const char *name, size_t index, const char **text);
/* A reference to a function, to be used once with ww_ops_finish or given up with ww_ops_forget. */
int ww_call_function(struct ww_call *call, const char *name, int *function);
/* Says why, for the error table and the log. */
void ww_call_reason(struct ww_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Results: fields of the innermost open table; name NULL appends to a list. */
void ww_call_put_text(struct ww_call *call, const char *name, const char *text);
void ww_call_put_bytes(struct ww_call *call, const char *name, const void *data, size_t size);
void ww_call_put_u64(struct ww_call *call, const char *name, uint64_t value); /* below 2^53 */
void ww_call_put_bool(struct ww_call *call, const char *name, bool value);
void ww_call_put_hash(struct ww_call *call, const char *name, const struct ww_hash *value);
void ww_call_put_id(struct ww_call *call, const char *name, const struct ww_id *value);
void ww_call_put_amount(struct ww_call *call, const char *name, struct ww_amount value);
void ww_call_put_error(struct ww_call *call, const char *name, int code, const char *reason);
/* Opens a nested table (list: encoded as a JSON array even when empty), until ww_call_end. */
void ww_call_begin(struct ww_call *call, const char *name, bool list);
void ww_call_end(struct ww_call *call);

/* C to Lua. Begin, put results, then exactly one of emit, finish. */
void ww_ops_begin(struct ww_ops *ops, struct ww_call *call);
/* Calls the handler that Lua set for the event; none: nothing. */
void ww_ops_emit(struct ww_call *call, const char *event);
/* Calls the function with (result) or (nil, error), and releases it. */
void ww_ops_finish(struct ww_call *call, int function, int code);
void ww_ops_forget(struct ww_ops *ops, int function);

/* Gives Lua the ledger of this process and its store: ww.ledger.… (arbiter only). Borrowed; NULL
 * takes them back. */
void ww_ops_set_ledger(struct ww_ops *ops, struct ww_ledger *ledger, struct ww_store *store);

/* --- control socket --------------------------------------------------------------------------- */

/* A unix socket of mode 0600 with one JSON text a line each way; the peer's uid must be ours or 0.
 */
struct ww_control;
struct ww_control_callbacks {
    /* One line, without its end, NUL-terminated. Answer with ww_control_send. */
    void (*line)(void *arg, uint64_t session, const char *text, size_t size);
    void (*closed)(void *arg, uint64_t session);
};
/* A socket file that nobody listens on is replaced. WW_EEXIST when somebody does. */
int ww_control_create(struct ww_loop *loop, const char *path,
                      const struct ww_control_callbacks *callbacks, void *arg,
                      struct ww_control **control);
/* A session that has gone is WW_ECLOSED; one that doesn't read is closed (WW_ELIMIT). */
int ww_control_send(struct ww_control *control, uint64_t session, const char *text, size_t size);
/* Bytes that a session has not read yet; 0 when it has gone. */
size_t ww_control_queued(struct ww_control *control, uint64_t session);
/* The user of the process that connected, as the kernel says; WW_ECLOSED when it has gone. */
int ww_control_peer(struct ww_control *control, uint64_t session, uid_t *uid);
void ww_control_close(struct ww_control *control, uint64_t session);
/* Closes all sessions without `closed` being told. May be called from inside a callback. NULL is
 * fine. */
void ww_control_destroy(struct ww_control *control);
