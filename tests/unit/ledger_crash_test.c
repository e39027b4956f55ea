/* A child lives contracts on LevelDB and is killed, twenty times: whatever it was told to be
 * durable is there, nothing is there twice, and the books are right. */
#include "ledger_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS       20
#define OUTSTANDING 8
#define GRANT       1000000000ULL
#define PRICE       100
#define PAID        40
/* Lives: it hardly ever dies outside of an epoch's turn. */
#define FORGET_EVERY 5
#define ROUND        1000000 /* lives are numbered from here in each round */

/* What the child says once a step is durable. */
struct said {
    uint64_t life;
    uint32_t step; /* 1 reserved, 2 recorded, 3 settled */
    uint32_t zero;
};

struct child {
    struct rig rig;
    int pipe;
    uint64_t next_life;
};

struct life {
    struct child *child;
    uint64_t number;
    uint32_t step;
};

/* --- the child ------------------------------------------------------------------------------ */

static void must(int rc)
{
    if (rc)
        _exit(1);
}

static void done_key(uint64_t life, char key[32])
{
    snprintf(key, 32, "done/%llu", (unsigned long long)life);
}

static void live(struct life *life);

static void durable(void *arg, int rc)
{
    struct life *life = arg;
    struct said said = {.life = life->number, .step = life->step};

    must(rc);
    if (life->step > 0 && write(life->child->pipe, &said, sizeof(said)) != sizeof(said))
        _exit(0); /* the parent has seen enough */
    if (life->step == 3 || life->step == 0)
        life->number = life->child->next_life++, life->step = 0;
    live(life);
}

/* The next step of a life, and its commit. */
static void live(struct life *life)
{
    struct ww_ledger *ledger = life->child->rig.ledger;
    struct ww_id contract = rig_id(life->number), payer = rig_id(1), payee = rig_id(2);
    struct ww_part part = rig_part("usd", PRICE);
    char key[32];

    switch (++life->step) {
    case 1:
        must(ww_ledger_reserve(ledger, &contract, &payer, &part, 1, "offered", 7));
        break;
    case 2:
        must(ww_ledger_record(ledger, &contract, "closed by the client", 20));
        break;
    case 3:
        done_key(life->number, key);
        must(ww_ledger_record(ledger, &contract, "closed by both", 14));
        must(ww_ledger_settle(ledger, &contract, &payee, PAID, PRICE, NULL));
        must(ww_ledger_put(ledger, key, "", 0));
        if (life->number % FORGET_EVERY == 0)
            must(ww_ledger_forget(ledger, NULL, NULL));
        break;
    default:
        _exit(1);
    }
    must(ww_ledger_commit(ledger, durable, life));
}

static void be_child(const char *folder, const struct ww_id *grant_id, unsigned round, int fd)
{
    static struct child child;
    static struct life lives[OUTSTANDING];
    struct ww_id payer = rig_id(1);
    struct ww_store *store;
    char why[256];
    int rc;

    child.pipe = fd;
    child.next_life = (uint64_t)(round + 1) * ROUND;
    must(ww_store_open(folder, &store));
    child.rig.store = store;
    must(rig_try_open(&child.rig, why, sizeof(why)));
    rc = ww_ledger_grant(child.rig.ledger, grant_id, &payer, "usd", ww_amount_from_u64(GRANT));
    if (rc != WW_EEXIST)
        must(rc);
    for (size_t index = 0; index < OUTSTANDING; index++) {
        lives[index].child = &child;
        must(ww_ledger_commit(child.rig.ledger, durable, &lives[index]));
    }
    ww_loop_run(child.rig.loop);
}

/* --- the parent ----------------------------------------------------------------------------- */

/* What was said, by life of this round. */
struct heard {
    uint8_t *steps;
    size_t lives, count;
};

static void hear(struct heard *heard, int fd, unsigned round)
{
    struct said said;

    memset(heard, 0, sizeof(*heard));
    heard->steps = ww_alloc(ROUND, 1);
    assert_non_null(heard->steps);
    while (read(fd, &said, sizeof(said)) == sizeof(said)) {
        uint64_t life = said.life - (uint64_t)(round + 1) * ROUND;

        assert_true(life < ROUND);
        assert_int_equal(heard->steps[life] + 1, said.step); /* in order, each once */
        heard->steps[life] = (uint8_t)said.step;
        heard->lives = WW_MAX(heard->lives, (size_t)life + 1);
        heard->count++;
    }
}

static void count_fact(void *arg, const char *key, const void *value, size_t value_size)
{
    (void)key, (void)value, (void)value_size;
    (*(uint64_t *)arg)++;
}

struct contract_text {
    struct ww_id id;
    char text[32]; /* "" if there is no such contract */
};

static void find_contract(void *arg, const struct ww_id *contract, const struct ww_id *payer,
                          bool disputed, const struct ww_part *parts, size_t part_count,
                          const void *record, size_t record_size)
{
    struct contract_text *wanted = arg;

    (void)payer, (void)disputed, (void)parts, (void)part_count;
    if (ww_id_equal(contract, &wanted->id))
        memcpy(wanted->text, record, record_size);
}

/* Each acknowledged step is there, or what came after it. */
static void check_heard(struct rig *rig, const struct heard *heard, unsigned round)
{
    for (size_t index = 0; index < heard->lives; index++) {
        uint64_t number = (uint64_t)(round + 1) * ROUND + index;
        struct contract_text contract = {.id = rig_id(number)};
        const void *value;
        size_t size;
        char key[32];
        bool done;

        done_key(number, key);
        done = ww_ledger_get(rig->ledger, key, &value, &size) == 0;
        if (done || heard->steps[index] == 0)
            continue;
        assert_int_not_equal(heard->steps[index], 3);
        ww_ledger_each_contract(rig->ledger, find_contract, &contract);
        if (heard->steps[index] == 2)
            assert_string_equal(contract.text, "closed by the client");
        else
            assert_string_not_equal(contract.text, "");
    }
}

/* True if it was killed in an epoch's turn: then there are two keys. */
static bool in_turn(struct ww_store *store)
{
    uint8_t bytes[WW_STORE_SECRET_BYTES_MAX];
    size_t size;

    return ww_store_secret_get(store, 0, bytes, &size) == 0 &&
           ww_store_secret_get(store, 1, bytes, &size) == 0;
}

static void check_round(const char *folder, const struct heard *heard, unsigned round,
                        unsigned *turns)
{
    struct rig rig = {.store = NULL};
    uint64_t settled = 0;
    char why[256];

    assert_int_equal(ww_store_open(folder, &rig.store), 0);
    *turns += in_turn(rig.store);
    rig_verify(&rig);
    assert_int_equal(rig_try_open(&rig, why, sizeof(why)), 0);
    check_heard(&rig, heard, round);
    /* Nothing twice: each settled life paid once, each open one holds once, one grant. */
    ww_ledger_each_fact(rig.ledger, "done/", count_fact, &settled);
    if (heard->count > 0) {
        uint64_t held = ww_ledger_contract_count(rig.ledger) * PRICE;

        assert_int_equal(rig_balance(&rig, 2, "usd", WW_WALLET_EARNED), settled * PAID);
        assert_int_equal(rig_balance(&rig, 1, "usd", WW_WALLET_ESCROW), held);
        assert_int_equal(rig_balance(&rig, 1, "usd", WW_WALLET_MARKET),
                         GRANT - held - settled * PAID);
    }
    assert_true(ww_ledger_contract_count(rig.ledger) <= (size_t)(round + 1) * OUTSTANDING);
    rig_deinit(&rig);
}

static void killed_twenty_times(void **state)
{
    char folder[] = "/tmp/ww-ledger-crash-XXXXXX";
    char command[128];
    struct ww_id grant_id = rig_fresh_id();
    unsigned turns = 0;
    size_t steps = 0;

    (void)state;
    assert_non_null(mkdtemp(folder));
    for (unsigned round = 0; round < KILLS; round++) {
        struct heard heard;
        int ends[2], status;
        pid_t child;

        assert_int_equal(pipe(ends), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            be_child(folder, &grant_id, round, ends[1]);
            _exit(0);
        }
        close(ends[1]);
        usleep((useconds_t)(30000 + ww_random_below(120000)));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status)); /* it was alive until then */
        hear(&heard, ends[0], round);
        close(ends[0]);
        check_round(folder, &heard, round, &turns);
        steps += heard.count;
        ww_free(heard.steps);
    }
    assert_true(steps > 3 * KILLS);
    print_message("%zu steps were acknowledged before %d kills, %u of them in an epoch's turn\n",
                  steps, KILLS, turns);
    snprintf(command, sizeof(command), "rm -rf %s %s-?.key", folder, folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_twenty_times)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
