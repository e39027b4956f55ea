/* The trusted VM: where modules come from, what a failing script leads to, small bindings. */
#include <fcntl.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "ops_script.h"

static struct script script;

static int setup(void **state)
{
    (void)state;
    script_open(&script);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_close(&script);
    return 0;
}

static void exit_codes(void **state)
{
    (void)state;
    assert_int_equal(script_run(&script, "ww.exit(7)"), 7);
    assert_int_equal(script_run(&script, "error('a bug')"), 70);
    assert_int_equal(script_run(&script, "error({})"), 70);
    assert_int_equal(script_run(&script, "error(nil)"), 70);
    assert_int_equal(script_run(&script, "local function f() return 1 + f() end f()"), 70);
    assert_int_equal(ww_ops_run(script.ops, "no.such.module"), 70);
}

static void a_module_without_main(void **state)
{
    (void)state;
    script_write(&script, "empty.lua", "return {}");
    assert_int_equal(ww_ops_run(script.ops, "empty"), 70);
    script_write(&script, "none.lua", "x = 1");
    assert_int_equal(ww_ops_run(script.ops, "none"), 70);
}

static void modules(void **state)
{
    (void)state;
    script_write(&script, "own.lua", "return 'from the folder'");
    script_write(&script, "bad.lua", "return = 5");
    assert_int_equal(
        script_run(&script, "assert(require('own') == 'from the folder')\n"
                            "assert(type(require('ops.json').encode) == 'function', 'built in')\n"
                            "assert(require('argparse'))\n"
                            "local ok, why = pcall(require, 'bad')\n"
                            "assert(not ok and why:find('bad.lua:1:', 1, true), why)\n"
                            "ok, why = pcall(require, 'not.there')\n"
                            "assert(not ok and why:find('no built-in script', 1, true), why)\n"
                            "ok, why = pcall(require, ('x'):rep(300))\n"
                            "assert(not ok and why:find('too long', 1, true), why)\n"
                            "assert(not pcall(require, '../escape'))\n"
                            "assert(package.path == '' and package.cpath == '')\n"
                            "assert(arg[0] == 'ww' and arg[1] == 'one' and arg[2] == nil)\n"
                            "ww.exit(0)"),
        0);
}

static void timers(void **state)
{
    (void)state;
    assert_int_equal(
        script_run(&script,
                   "local fired = 0\n"
                   "ww.loop.after(0.001, function() fired = fired + 1 error('a bug') end)\n"
                   "local never = ww.loop.after(0.002, function() fired = 100 end)\n"
                   "never:cancel() never:cancel() never = nil\n"
                   "ww.loop.after(0.02, function() collectgarbage() ww.exit(fired) end)\n"
                   "assert(not pcall(ww.loop.after, -1, print))\n"
                   "assert(not pcall(ww.loop.after, 0 / 0, print))\n"
                   "assert(not pcall(ww.loop.after, 1))"),
        1);
}

static void files(void **state)
{
    char body[1024];
    (void)state;
    snprintf(
        body, sizeof(body),
        "local folder = '%s/a/b'\n"
        "assert(ww.fs.mkdir(folder, 448) and ww.fs.mkdir(folder, 448) and ww.fs.is_dir(folder))\n"
        "assert(ww.fs.mode(folder) == 448)\n"
        "local path = folder .. '/x'\n"
        "assert(ww.fs.write(path, 'a\\0b', 384) and ww.fs.mode(path) == 384)\n"
        "assert(ww.fs.read(path) == 'a\\0b' and #ww.fs.list(folder) == 1)\n"
        "assert(select(2, ww.fs.read(folder .. '/y')).code == 'ENOTFOUND')\n"
        "assert(select(2, ww.fs.mode(folder .. '/y')).code == 'ENOTFOUND')\n"
        "assert(select(2, ww.fs.read(folder)))\n"
        "assert(not ww.fs.write(folder .. '/no/such', 'x'))\n"
        "assert(select(2, ww.fs.mkdir(path .. '/z')))\n"
        "assert(ww.fs.write(path, ('x'):rep(5000000)))\n"
        "assert(select(2, ww.fs.read(path)).code == 'ETOOBIG')\n"
        "assert(ww.fs.remove(path) and not ww.fs.remove(path))\n"
        "ww.exit(0)",
        script.folder);
    assert_int_equal(script_run(&script, body), 0);
}

/* What sd_notify(3) says: one datagram, to a path or an abstract name. */
static void readiness(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[64] = "";
    (void)state;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", script.folder);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(script_run(&script, "assert(not ww.process.notify('READY=1')) ww.exit(0)"), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    assert_int_equal(script_run(&script, "assert(ww.process.notify('READY=1')) ww.exit(0)"), 0);
    assert_int_equal(recv(fd, text, sizeof(text) - 1, 0), 7);
    assert_string_equal(text, "READY=1");
    close(fd);
    setenv("NOTIFY_SOCKET", "relative", 1);
    assert_int_equal(script_run(&script, "assert(not ww.process.notify('READY=1')) ww.exit(0)"), 0);
    unsetenv("NOTIFY_SOCKET");
}

static void the_log_and_errors(void **state)
{
    (void)state;
    assert_int_equal(
        script_run(&script, "assert(ww.log_setup('error', true))\n"
                            "assert(select(2, ww.log_setup('loud')).code == 'EINVAL')\n"
                            "ww.log('info', 'ops', 'not shown')\n"
                            "assert(not pcall(ww.log, 'nonsense', 'ops', 'x'))\n"
                            "assert(ww.error('EFUNDS', 'x').status == 402)\n"
                            "assert(ww.error('NO_SUCH_CODE').code == 'EINVAL')\n"
                            "assert(ww.version:find('^%d+%.%d+'))\n"
                            "assert(#ww.scripts('lua/ops/cli/') > 5 and #ww.scripts('none') == 0)\n"
                            "ww.exit(0)"),
        0);
}

static void memory_that_runs_out(void **state)
{
    struct ww_ops_config config = {.argc = 0};
    struct ww_ops *ops;
    (void)state;
    for (uint64_t n = 1; n < 200; n++) {
        ww_alloc_fail_after(n);
        int rc = ww_ops_create(script.loop, &config, &ops);
        ww_alloc_fail_after(0);
        if (rc == 0) {
            ww_ops_destroy(ops);
            return;
        }
        assert_int_equal(rc, WW_ENOMEM);
    }
    fail();
}

/* The n-th allocation of Lua fails: the process ends by its own decision, never by a signal. */
static int end_of_child(uint64_t n)
{
    struct ww_ops_config config = {.lua_folder = script.folder, .fail_allocation = n};
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct ww_loop *loop = NULL;
        struct ww_ops *ops = NULL;
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        dup2(null, STDERR_FILENO);
        if (ww_loop_create(&loop) || ww_ops_create(loop, &config, &ops))
            _exit(3);
        _exit(ww_ops_run(ops, "busy"));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void lua_memory_that_runs_out(void **state)
{
    uint64_t n = 1;
    int code = 75;
    (void)state;

    /* Hot enough to be compiled, in a coroutine, with JSON, and errors caught on the way. */
    script_write(&script, "busy.lua",
                 "local json = require('ops.json')\n"
                 "return { main = function()\n"
                 "  local list = {}\n"
                 "  require('ops.async').run(function()\n"
                 "    for i = 1, 300 do list[i] = { text = 'n' .. i } end\n"
                 "    pcall(function() list = json.decode(json.encode(list)) end)\n"
                 "    ww.exit(#list == 300 and 0 or 9)\n"
                 "  end)\n"
                 "end }");
    /* Each of the first ones, then fewer: there are thousands, and each is a process. */
    for (; code == 75 && n < 100000; n += 1 + n / 20)
        code = end_of_child(n);
    assert_int_equal(code, 0);
    assert_true(n > 2000);
}

/* One line, in which all that was said is one quoted value, however long it is. */
static void a_failed_task_is_one_pair(void **state)
{
    char path[128], text[4096] = "";
    (void)state;
    snprintf(path, sizeof(path), "%s/log", script.folder);
    int saved = dup(STDERR_FILENO);
    assert_non_null(freopen(path, "we", stderr));
    int rc = script_run(&script, "ww.log_setup('info', false)\n"
                                 "require('ops.async').run(function()\n"
                                 "  error('x=y\\nts=0 level=info ' .. ('z '):rep(2000)) end)\n"
                                 "ww.exit(3)");
    dup2(saved, STDERR_FILENO);
    close(saved);
    assert_int_equal(rc, 3);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    assert_true(size > 0 && strchr(text, '\n') == text + size - 1);
    char *why = strstr(text, " why=\"");
    assert_non_null(why);
    assert_non_null(strstr(why, "x=y\\u000ats=0 level=info z z"));
    assert_ptr_equal(strchr(why + 6, '"'), text + size - 2);
}

static unsigned names_looked_up;

/* In the place of the C library's, for the whole program: it may take seconds. */
int getpwuid_r(uid_t uid, struct passwd *entry, char *buffer, size_t size, struct passwd **found)
{
    names_looked_up++;
    snprintf(buffer, size, "user-%lu", (unsigned long)uid);
    *entry = (struct passwd){.pw_name = buffer};
    *found = entry;
    return 0;
}

/* Names of users are looked up before anybody is let in, and not once more. */
static void who_is_on_the_control_socket(void **state)
{
    static char body[1024];

    (void)state;
    snprintf(body, sizeof(body),
             "local async, server = require('ops.async'), nil\n"
             "async.run(function()\n"
             "local path, heard = '%s/control', 0\n"
             "server = assert(ww.control.serve({ path = path, on_line = function(session)\n"
             "    for _ = 1, 5 do assert(server:user(session) == 'user-%lu') end\n"
             "    heard = heard + 1\n"
             "end }))\n"
             "for _ = 1, 3 do\n"
             "    local client = assert(ww.control.connect({ path = path,\n"
             "        on_line = function() end, on_closed = function() end }))\n"
             "    client:send('{}')\n"
             "end\n"
             "local until_us = ww.loop.now_us() + 5e6\n"
             "while heard < 3 and ww.loop.now_us() < until_us do async.sleep(0.01) end\n"
             "ww.exit(heard == 3 and 0 or 1)\n"
             "end)\n",
             script.folder, (unsigned long)geteuid());
    names_looked_up = 0;
    assert_int_equal(script_run(&script, body), 0);
    assert_int_equal(names_looked_up, 2); /* its own and root's */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(exit_codes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_module_without_main, setup, teardown),
        cmocka_unit_test_setup_teardown(modules, setup, teardown),
        cmocka_unit_test_setup_teardown(timers, setup, teardown),
        cmocka_unit_test_setup_teardown(files, setup, teardown),
        cmocka_unit_test_setup_teardown(readiness, setup, teardown),
        cmocka_unit_test_setup_teardown(the_log_and_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_on_the_control_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_task_is_one_pair, setup, teardown),
        cmocka_unit_test_setup_teardown(lua_memory_that_runs_out, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_that_runs_out, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
