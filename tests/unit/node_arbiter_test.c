/* The arbiter's routes on real books, without a network: node_arbiter_test.lua plays the nodes.
 *
 * Everything is as in the program (main.c) except the sockets, which the script stands in for, and
 * ww.test, which signs closes as an edge does (edge_state.c) and lets memory run out. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "arbiter.h"
#include "node.h"

/* {key=PATH, contract=, party=, up=, down=, reason=} -> {close}: party is the key's own node. */
static int sign_close(void *context, struct ww_call *call)
{
    struct ww_close record = {.reason = WW_CLOSE_DONE};
    struct ww_key *key = NULL;
    struct ww_buf out;
    const char *path = NULL;
    char why[256], text[1024];
    uint64_t reason = WW_CLOSE_DONE;

    (void)context;
    ww_buf_init(&out, 512);
    int rc = ww_call_text(call, "key", &path, NULL);
    if (!rc)
        rc = ww_key_load(path, &key, why, sizeof(why));
    if (!rc)
        rc = ww_call_id(call, "contract", &record.contract_id);
    if (rc)
        goto out;
    ww_key_node_id(key, &record.party);
    ww_call_u64(call, "up", &record.bytes_up);
    ww_call_u64(call, "down", &record.bytes_down);
    ww_call_u64(call, "reason", &reason);
    record.reason = (enum ww_close_reason)reason;
    rc = ww_wire_close_encode(&record, &out);
    if (!rc)
        rc = ww_sign(key, "ww close 1", out.data, out.size - sizeof(record.signature),
                     record.signature);
    ww_buf_clear(&out);
    if (!rc)
        rc = ww_wire_close_encode(&record, &out);
    if (!rc)
        rc = ww_base64_format(out.data, out.size, text, sizeof(text));
    if (!rc)
        ww_call_put_text(call, "close", text);
out:
    ww_buf_deinit(&out);
    ww_key_destroy(key);
    return rc;
}

/* {contract=, ms=}: the contract's present wait began so much earlier. */
static int let_pass(void *context, struct ww_call *call)
{
    struct arbiter_contract *contract = NULL;
    struct ww_id id;
    uint64_t ms = 0;

    int rc = ww_call_id(call, "contract", &id);
    if (!rc)
        rc = ww_call_u64(call, "ms", &ms);
    if (!rc)
        contract = arbiter_find(context, &id);
    if (!contract)
        return rc ? rc : WW_ENOTFOUND;
    contract->terms.waiting_since_ms -= ms;
    return 0;
}

/* {count=}: that many allocations succeed, then none; absent: all do. */
static int fail_allocations(void *context, struct ww_call *call)
{
    uint64_t count = 0;
    bool fails = ww_call_u64(call, "count", &count) == 0;

    (void)context;
    ww_alloc_fail_after(fails ? count + 1 : 0);
    return 0;
}

/* From now on every write to a file fails. */
static int break_disk(void *context, struct ww_call *call)
{
    const struct rlimit none = {0, 0};

    (void)context;
    (void)call;
    signal(SIGXFSZ, SIG_IGN);
    return setrlimit(RLIMIT_FSIZE, &none) ? WW_ESYSTEM : 0;
}

/* With an argument: only the tests whose name has it. "disk": the node must stop by itself, as it
 * can't write its books any more. */
int main(int argc, char **argv)
{
    static const struct ww_ops_function functions[] = {{"sign_close", sign_close},
                                                       {"fail_allocations", fail_allocations},
                                                       {"break_disk", break_disk},
                                                       {"let_pass", let_pass}};
    struct ww_ops_config config = {.lua_folder = WW_TEST_FOLDER, .argc = argc, .argv = argv};
    struct ww_loop *loop = NULL;
    struct ww_ops *ops = NULL;
    struct arbiter *arbiter = NULL;
    int code = 70;

    ww_crypto_init();
    ww_log_set_level(WW_LOG_ERROR);
    int rc = ww_loop_create(&loop);
    if (!rc)
        rc = ww_ops_create(loop, &config, &ops);
    if (!rc)
        rc = arbiter_bind(ops, &arbiter);
    if (!rc)
        rc = ww_ops_bind(ops, "test", functions, WW_ARRAY_COUNT(functions), arbiter);
    if (!rc)
        code = ww_ops_run(ops, "node_arbiter_test");
    arbiter_destroy(arbiter);
    ww_ops_destroy(ops);
    ww_loop_destroy(loop);
    if (argc > 1 && strcmp(argv[1], "disk") == 0)
        return code == 70 ? 0 : 1;
    return code;
}
