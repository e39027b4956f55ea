/* The arbiter's routes on real books, without a network: node_arbiter_test.lua plays the nodes.
 *
 * Everything is as in the program (main.c) except the sockets, which the script stands in for, and
 * ww.test, which signs closes as an edge does (edge_close.c) and lets memory run out. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "arbiter.h"
#include "node.h"

/* Optional base64 text as bytes; absent: none. */
static int read_bytes(struct ww_call *call, const char *name, uint8_t *out, size_t most,
                      size_t *size)
{
    const char *text = NULL;
    size_t text_size = 0;
    int rc = ww_call_text(call, name, &text, &text_size);

    *size = 0;
    if (rc)
        return rc == WW_ENOTFOUND ? 0 : rc;
    return ww_base64_parse(text, text_size, out, most, size);
}

/* {key=PATH, epoch= number}: who signs, and in which of its lives. */
static int read_signer(struct ww_call *call, struct ww_key **key, uint8_t epoch[WW_EPOCH_SIZE])
{
    const char *path = NULL;
    char why[256];
    uint64_t number = 1;
    int rc = ww_call_text(call, "key", &path, NULL);

    if (!rc)
        rc = ww_key_load(path, key, why, sizeof(why));
    ww_call_u64(call, "epoch", &number);
    memset(epoch, 0, WW_EPOCH_SIZE);
    epoch[0] = (uint8_t)number;
    return rc;
}

/* Signs all but the last 64 bytes of what was encoded, in place, and gives it as `name`. */
static int put_signed(struct ww_call *call, const struct ww_key *key, const char *context,
                      struct ww_buf *bytes, const char *name)
{
    static char text[2 * WW_CLOSE_BYTES_MAX];
    uint8_t *signature = bytes->data + bytes->size - WW_SIGNATURE_SIZE;
    int rc = ww_sign(key, context, bytes->data, bytes->size - WW_SIGNATURE_SIZE, signature);

    if (!rc)
        rc = ww_base64_format(bytes->data, bytes->size, text, sizeof(text));
    if (!rc)
        ww_call_put_text(call, name, text);
    return rc;
}

/* {key=PATH, contract=, up=, down=, reason=, epoch=, receipt=, declaration=} -> {close}. The party
 * is the key's own node. */
static int sign_close(void *context, struct ww_call *call)
{
    static struct ww_close record;
    struct ww_key *key = NULL;
    struct ww_buf out;
    uint64_t reason = WW_CLOSE_DONE;

    (void)context;
    memset(&record, 0, sizeof(record));
    ww_buf_init(&out, WW_CLOSE_BYTES_MAX);
    int rc = read_signer(call, &key, record.epoch);
    if (!rc)
        rc = ww_call_id(call, "contract", &record.contract_id);
    if (!rc)
        rc = read_bytes(call, "receipt", record.receipt, sizeof(record.receipt),
                        &record.receipt_size);
    if (!rc)
        rc = read_bytes(call, "declaration", record.declaration, sizeof(record.declaration),
                        &record.declaration_size);
    if (!rc) {
        ww_key_node_id(key, &record.party);
        ww_call_u64(call, "up", &record.bytes_up);
        ww_call_u64(call, "down", &record.bytes_down);
        ww_call_u64(call, "reason", &reason);
        record.reason = (enum ww_close_reason)reason;
        rc = ww_wire_close_encode(&record, &out);
    }
    if (!rc)
        rc = put_signed(call, key, "ww close 1", &out, "close");
    ww_buf_deinit(&out);
    ww_key_destroy(key);
    return rc;
}

/* {key=, contract=, sequence=, received=, acknowledged=, epoch=} -> {receipt} */
static int sign_receipt(void *context, struct ww_call *call)
{
    struct ww_receipt receipt = {.sequence = 1};
    struct ww_key *key = NULL;
    struct ww_buf out;

    (void)context;
    ww_buf_init(&out, WW_RECEIPT_BYTES_MAX);
    int rc = read_signer(call, &key, receipt.epoch);
    if (!rc)
        rc = ww_call_id(call, "contract", &receipt.contract_id);
    if (!rc) {
        ww_call_u64(call, "sequence", &receipt.sequence);
        ww_call_u64(call, "received", &receipt.bytes_received);
        ww_call_u64(call, "acknowledged", &receipt.bytes_acknowledged);
        receipt.next_index = receipt.sequence;
        rc = ww_wire_receipt_encode(&receipt, &out);
    }
    if (!rc)
        rc = put_signed(call, key, "ww receipt 1", &out, "receipt");
    ww_buf_deinit(&out);
    ww_key_destroy(key);
    return rc;
}

/* {key=, contract=, address= IPv4 or IPv6 text, or name=, epoch=} -> {declaration} */
static int sign_declaration(void *context, struct ww_call *call)
{
    static struct ww_declaration declaration;
    struct ww_dest *dest = &declaration.dests[0];
    struct ww_key *key = NULL;
    const char *text = NULL;
    struct ww_buf out;

    (void)context;
    memset(&declaration, 0, sizeof(declaration));
    declaration.batch = 1;
    declaration.list_version = 1;
    declaration.dest_count = 1;
    dest->protocol = WW_DEST_TCP;
    dest->port = 443;
    ww_buf_init(&out, WW_DECLARATION_BYTES_MAX);
    int rc = read_signer(call, &key, declaration.epoch);
    if (!rc)
        rc = ww_call_id(call, "contract", &declaration.contract_id);
    if (!rc && ww_call_text(call, "name", &text, NULL) == 0) {
        dest->kind = WW_DEST_NAME;
        snprintf(dest->name, sizeof(dest->name), "%s", text);
    } else if (!rc) {
        rc = ww_call_text(call, "address", &text, NULL);
        dest->kind = !rc && strchr(text, ':') ? WW_DEST_IPV6 : WW_DEST_IPV4;
        if (!rc &&
            inet_pton(dest->kind == WW_DEST_IPV6 ? AF_INET6 : AF_INET, text, dest->address) != 1)
            rc = WW_EINVAL;
    }
    if (!rc)
        rc = ww_wire_declaration_encode(&declaration, &out);
    if (!rc)
        rc = put_signed(call, key, "ww declaration 1", &out, "declaration");
    ww_buf_deinit(&out);
    ww_key_destroy(key);
    return rc;
}

/* {seconds=}: both of the arbiter's clocks go on by so much at once. */
static int advance(void *context, struct ww_call *call)
{
    struct arbiter **arbiter = context;
    uint64_t seconds = 0;
    int rc = ww_call_u64(call, "seconds", &seconds);

    (*arbiter)->advance_s += seconds;
    (*arbiter)->advance_up_s += seconds;
    return rc;
}

/* {seconds=}: as if the arbiter had been down for so long: up-time stood still, and this is a
 * start.
 */
static int outage(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = *(struct arbiter **)context;
    struct ww_contract_event now;
    uint64_t seconds = 0;
    int rc = ww_call_u64(call, "seconds", &seconds);

    arbiter_now(arbiter, &now);
    arbiter->uptime_base_ms = now.now_ms;
    arbiter->started_mono_ms = ww_clock_mono_us() / 1000;
    arbiter->advance_s += seconds;
    arbiter->advance_up_s = 0;
    return rc;
}

struct reopening {
    struct arbiter *arbiter;
    char state[256];
    bool crash;
    int done;
};

/* Closes the books and opens them again, as another process would. */
static void reopen_now(void *arg)
{
    struct reopening *reopening = arg;
    struct arbiter *arbiter = reopening->arbiter;
    struct ww_call call;
    char why[256];

    if (!reopening->crash && !arbiter_store_uptime(arbiter))
        arbiter_commit(arbiter, NULL, NULL);
    arbiter_close_books(arbiter);
    arbiter->advance_up_s = 0; /* the wall clock stays ahead */
    int rc = arbiter_open(arbiter, reopening->state, why, sizeof(why));
    ww_ops_begin(arbiter->ops, &call);
    ww_ops_finish(&call, reopening->done, rc);
    free(reopening);
}

/* {state=, crash=, done=}: crash: as if it had been killed. */
static int reopen(void *context, struct ww_call *call)
{
    struct reopening *reopening = calloc(1, sizeof(*reopening));
    const char *state = NULL;

    if (!reopening)
        return WW_ENOMEM;
    reopening->arbiter = *(struct arbiter **)context;
    int rc = ww_call_text(call, "state", &state, NULL);
    if (!rc)
        rc = ww_call_function(call, "done", &reopening->done);
    if (rc) {
        free(reopening);
        return rc;
    }
    snprintf(reopening->state, sizeof(reopening->state), "%s", state);
    ww_call_bool(call, "crash", &reopening->crash);
    return ww_loop_post(reopening->arbiter->loop, reopen_now, reopening);
}

/* {network=} -> {strikes=} */
static int strikes(void *context, struct ww_call *call)
{
    const struct arbiter *arbiter = *(struct arbiter **)context;
    struct ww_id network;
    int rc = ww_call_id(call, "network", &network);

    if (!rc)
        ww_call_put_u64(call, "strikes",
                        ww_account_strikes(arbiter->ledger, &network, arbiter_now_s(arbiter)));
    return rc;
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

/* Contracts of whoever is banned are looked for while there is no memory. */
static int cut_starved(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = *(struct arbiter **)context;

    (void)call;
    ww_alloc_fail_after(1);
    arbiter_find_banned(arbiter);
    arbiter_cut_banned(arbiter);
    ww_alloc_fail_after(0);
    return 0;
}

/* Each side broke the protocol: the built-in policies leave that to a person. */
static void dispute(struct ww_contract *terms)
{
    terms->state = WW_CONTRACT_DISPUTED;
    terms->disputed_bytes = terms->bytes;
    terms->proofs = WW_PROOF_CLIENT_BELOW | WW_PROOF_PROVIDER_ABOVE;
    terms->closes[WW_CONTRACT_CLIENT].present = true;
    terms->closes[WW_CONTRACT_PROVIDER].present = true;
}

/* {count=, disputed=}: so many contracts more are open, or undecided, in memory only. */
static int crowd(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = *(struct arbiter **)context;
    struct arbiter_contract *contract;
    struct ww_contract terms = {
        .state = WW_CONTRACT_ACTIVE, .bytes = WW_GIB, .expires_s = 1ULL << 39};
    uint64_t count = 0;
    bool disputed = false;
    int rc = ww_call_u64(call, "count", &count);

    terms.alive_ms = 1ULL << 49; /* nothing ends them */
    ww_call_bool(call, "disputed", &disputed);
    if (disputed)
        dispute(&terms);
    for (uint64_t index = 0; index < count && !rc; index++) {
        ww_random_bytes(&terms.id, sizeof(terms.id));
        rc = arbiter_remember(arbiter, &terms, &contract);
    }
    return rc;
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

/* {ms=}: how long a replay may take; absent: as a node has it. */
static int replay_ms_max(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = *(struct arbiter **)context;

    arbiter->policies.replay_ms_max = WW_POLICY_REPLAY_MS_MAX;
    ww_call_u64(call, "ms", &arbiter->policies.replay_ms_max);
    return 0;
}

static const char *script_of(const char *argument)
{
    static const char *const scripts[][2] = {{"close", "node_close_test"},
                                             {"court", "node_court_test"},
                                             {"liars", "node_liars_test"},
                                             {"policy", "node_policy_test"},
                                             {"reload", "node_reload_test"}};

    for (size_t index = 0; index < WW_ARRAY_COUNT(scripts); index++) {
        if (strcmp(argument, scripts[index][0]) == 0)
            return scripts[index][1];
    }
    return "node_arbiter_test";
}

/* "close", "court", "liars", "policy", "reload": the tests of that script; a second argument: only
 * those whose name has it. With another argument: only the tests whose name has it. "disk": the
 * node must stop by itself, as it can't write its books any more. */
int main(int argc, char **argv)
{
    static const struct ww_ops_function functions[] = {
        {"sign_close", sign_close},
        {"sign_receipt", sign_receipt},
        {"sign_declaration", sign_declaration},
        {"advance", advance},
        {"outage", outage},
        {"reopen", reopen},
        {"strikes", strikes},
        {"fail_allocations", fail_allocations},
        {"cut_starved", cut_starved},
        {"break_disk", break_disk},
        {"crowd", crowd},
        {"replay_ms_max", replay_ms_max},
    };
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
        rc = policy_bind(ops);
    if (!rc)
        rc = contract_bind(ops);
    if (!rc)
        rc = ww_ops_bind(ops, "test", functions, WW_ARRAY_COUNT(functions), &arbiter);
    if (!rc)
        code = ww_ops_run(ops, script_of(argc > 1 ? argv[1] : ""));
    arbiter_destroy(arbiter);
    ww_ops_destroy(ops);
    ww_loop_destroy(loop);
    if (argc > 1 && strcmp(argv[1], "disk") == 0)
        return code == 70 ? 0 : 1;
    return code;
}
