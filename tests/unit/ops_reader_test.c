/* A live arbiter's books are verified and copied beside the loop, which goes on turning. */
#include "ops_script.h"
#include "ww/ledger.h"
#include "ww/store.h"

static struct script script;
static struct ww_store *store;
static struct ww_committer *committer;
static struct ww_ledger *ledger;

static int setup(void **state)
{
    char path[96];

    (void)state;
    script_open(&script);
    snprintf(path, sizeof(path), "%s/ledger", script.folder);
    assert_int_equal(ww_store_open(path, &store), 0);
    assert_int_equal(ww_committer_create(store, script.loop, &committer), 0);
    assert_int_equal(ww_ledger_open(store, script.loop, committer, &ledger, NULL, 0), 0);
    ww_ops_set_ledger(script.ops, ledger, store);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ww_ops_set_ledger(script.ops, NULL, NULL);
    ww_ledger_close(ledger);
    ww_committer_destroy(committer);
    ww_store_close(store);
    script_close(&script);
    return 0;
}

/* 40 MB of books take ten times as long to read as a thread to start: if the loop read them, the
 * call would take nearly all of the time. */
static void the_loop_turns_meanwhile(void **state)
{
    (void)state;
    assert_int_equal(
        script_run(&script,
                   "local text, turns = ('x'):rep(1000), 0\n"
                   "local function turn() turns = turns + 1 ww.loop.after(0.001, turn) end\n"
                   "local function verify()\n"
                   "  local begin, returned = ww.loop.now_us(), nil\n"
                   "  turn()\n"
                   "  assert(ww.ledger.verify({ done = function(report, err)\n"
                   "    assert(report and report.ok and report.batches > 0, err and err.code)\n"
                   "    local took = ww.loop.now_us() - begin\n"
                   "    print(('verified in %d ms, the call %d us, %d turns'):format(took / 1000,\n"
                   "      returned - begin, turns))\n"
                   "    ww.exit(turns > 2 and returned - begin < took / 2 and 0 or 1)\n"
                   "  end }))\n"
                   "  local ok, err = ww.ledger.verify({ done = print })\n"
                   "  assert(ok == nil and err.code == 'EAGAIN')\n"
                   "  ww.loop.after(0, function() returned = ww.loop.now_us() end)\n"
                   "end\n"
                   "local function fill(round)\n"
                   "  if round == 4 then return verify() end\n"
                   "  for i = 1, 10000 do assert(ww.ledger.put(('test/%d/%d'):format(round, i), "
                   "text)) end\n"
                   "  assert(ww.ledger.commit(function(ok) assert(ok) fill(round + 1) end))\n"
                   "end\n"
                   "fill(0)"),
        0);
}

/* A node that stops waits for the thread, and Lua is not called any more. */
static void a_node_that_stops(void **state)
{
    (void)state;
    assert_int_equal(script_run(&script,
                                "assert(ww.ledger.verify({ done = function() ww.exit(9) end }))\n"
                                "ww.exit(0)"),
                     0);
}

/* … but it does not wait until all of the books are read. */
static void a_node_that_stops_soon(void **state)
{
    struct ww_ledger_report report;

    (void)state;
    assert_int_equal(
        script_run(&script,
                   "local text = ('x'):rep(1000)\n"
                   "local function fill(round)\n"
                   "  if round == 4 then return ww.exit(0) end\n"
                   "  for i = 1, 10000 do assert(ww.ledger.put(('test/%d/%d'):format(round, i), "
                   "text)) end\n"
                   "  assert(ww.ledger.commit(function(ok) assert(ok) fill(round + 1) end))\n"
                   "end\n"
                   "fill(0)"),
        0);
    uint64_t begin_us = ww_clock_mono_us();
    assert_int_equal(ww_ledger_verify(store, &report), 0);
    uint64_t read_us = ww_clock_mono_us() - begin_us;
    assert_int_equal(script_run(&script, "assert(ww.ledger.verify({ done = print }))\n"
                                         "ww.exit(0)"),
                     0);
    begin_us = ww_clock_mono_us();
    ww_ops_set_ledger(script.ops, NULL, NULL);
    uint64_t stop_us = ww_clock_mono_us() - begin_us;
    print_message("read in %llu us, stopped in %llu us\n", (unsigned long long)read_us,
                  (unsigned long long)stop_us);
    assert_true(stop_us < read_us / 2);
}

static void without_books(void **state)
{
    (void)state;
    ww_ops_set_ledger(script.ops, NULL, NULL);
    assert_int_equal(script_run(&script, "local ok, err = ww.ledger.verify({ done = print })\n"
                                         "assert(ok == nil and err.code == 'ENOTFOUND')\n"
                                         "ww.exit(0)"),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_loop_turns_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_that_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_that_stops_soon, setup, teardown),
        cmocka_unit_test_setup_teardown(without_books, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
