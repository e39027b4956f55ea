/* The control socket: lines, limits, sessions that misbehave, stale and taken paths. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "ops_script.h"
#include "ww/limits.h"

#define PATIENCE_US 5000000

static struct ww_loop *loop;
static struct ww_control *control;
static char folder[64], path[108];
static size_t lines, closed, last_size;
static uint64_t last_session;
static char last_line[64];

static void on_line(void *arg, uint64_t session, const char *text, size_t size)
{
    (void)arg;
    assert_int_equal(text[size], '\0');
    lines++;
    last_session = session;
    last_size = size;
    snprintf(last_line, sizeof(last_line), "%s", text);
    if (strcmp(text, "close me") == 0)
        ww_control_close(control, session);
    else if (strcmp(text, "end all") == 0) {
        ww_control_destroy(control);
        control = NULL;
    } else if (strcmp(text, "echo") == 0)
        assert_int_equal(ww_control_send(control, session, "answer", 6), 0);
}

static void on_closed(void *arg, uint64_t session)
{
    (void)arg;
    (void)session;
    closed++;
}

static const struct ww_control_callbacks CALLBACKS = {.line = on_line, .closed = on_closed};

static int setup(void **state)
{
    (void)state;
    lines = closed = last_size = 0;
    snprintf(folder, sizeof(folder), "/tmp/ww-control-test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/control.sock", folder);
    assert_int_equal(ww_loop_create(&loop), 0);
    assert_int_equal(ww_control_create(loop, path, &CALLBACKS, NULL, &control), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ww_control_destroy(control);
    ww_loop_destroy(loop);
    assert_int_equal(access(path, F_OK), -1);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static int connect_one(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    memcpy(address.sun_path, path, sizeof(address.sun_path));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Writes all while the loop turns; stops when the other side is gone. */
static void send_all(int fd, const char *data, size_t size)
{
    uint64_t until_us = ww_clock_mono_us() + PATIENCE_US;
    while (size > 0 && ww_clock_mono_us() < until_us) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        } else if (errno != EAGAIN) {
            return;
        }
        ww_loop_turn(loop, 1000);
    }
}

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        uint64_t until_us_ = ww_clock_mono_us() + PATIENCE_US;                                     \
        while (!(condition) && ww_clock_mono_us() < until_us_)                                     \
            ww_loop_turn(loop, 1000);                                                              \
        assert_true(condition);                                                                    \
    } while (0)

/* What comes until the end of the stream, or until nothing has come for a while. */
static size_t receive(int fd, char *out, size_t size, bool to_end)
{
    uint64_t until_us = ww_clock_mono_us() + PATIENCE_US;
    size_t got = 0;
    while (ww_clock_mono_us() < until_us) {
        ssize_t count = recv(fd, out + got, size - got - 1, 0);
        if (count == 0 || (count < 0 && errno != EAGAIN))
            break;
        if (count > 0) {
            got += (size_t)count;
            if (!to_end && out[got - 1] == '\n')
                break;
        }
        ww_loop_turn(loop, 1000);
    }
    out[got] = '\0';
    return got;
}

static void lines_and_answers(void **state)
{
    uid_t uid = (uid_t)-1;
    char text[64];
    int fd = connect_one();
    (void)state;

    send_all(fd, "one\ntwo\nth", 10);
    WAIT_FOR(lines == 2);
    assert_string_equal(last_line, "two");
    send_all(fd, "ree\n\n", 5);
    WAIT_FOR(lines == 4);
    assert_int_equal(last_size, 0);
    send_all(fd, "echo\n", 5);
    receive(fd, text, sizeof(text), false);
    assert_string_equal(text, "answer\n");
    assert_int_equal(ww_control_send(control, 999, "x", 1), WW_ECLOSED);
    assert_int_equal(ww_control_peer(control, last_session, &uid), 0);
    assert_int_equal(uid, geteuid());
    close(fd);
    WAIT_FOR(closed == 1);
    assert_int_equal(ww_control_peer(control, last_session, &uid), WW_ECLOSED);
    assert_int_equal(ww_control_send(control, last_session, "x", 1), WW_ECLOSED);
}

static void the_socket_is_private(void **state)
{
    struct stat status;
    (void)state;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void a_close_from_inside_a_line(void **state)
{
    char text[8];
    int fd = connect_one();
    (void)state;
    send_all(fd, "close me\nnever\n", 15);
    WAIT_FOR(closed == 1);
    assert_int_equal(lines, 1);
    assert_int_equal(receive(fd, text, sizeof(text), true), 0);
    close(fd);
}

/* As a node does that is told to stop and has nothing to wait for. */
static void an_end_from_inside_a_line(void **state)
{
    char text[8];
    int fd = connect_one(), other = connect_one();
    (void)state;

    send_all(fd, "end all\nmore\n", 13);
    WAIT_FOR(!control);
    assert_int_equal(receive(fd, text, sizeof(text), true), 0);
    assert_int_equal(receive(other, text, sizeof(text), true), 0);
    assert_int_equal(lines, 1);
    assert_int_equal(closed, 0);
    close(fd);
    close(other);
}

static void a_line_too_long(void **state)
{
    static char data[4 * WW_CONTROL_LINE_BYTES_MAX], text[1024];
    (void)state;

    memset(data, 'x', sizeof(data));
    data[WW_CONTROL_LINE_BYTES_MAX - 1] = '\n';
    int fd = connect_one();
    send_all(fd, data, WW_CONTROL_LINE_BYTES_MAX);
    WAIT_FOR(lines == 1);
    assert_int_equal(last_size, WW_CONTROL_LINE_BYTES_MAX - 1);
    data[WW_CONTROL_LINE_BYTES_MAX - 1] = 'x';
    send_all(fd, data, sizeof(data));
    receive(fd, text, sizeof(text), true);
    assert_non_null(strstr(text, "\"code\":\"ETOOBIG\""));
    assert_int_equal(text[strlen(text) - 1], '\n');
    assert_int_equal(lines, 1);
    assert_int_equal(ww_control_send(control, last_session, "x", 1), WW_ECLOSED);
    WAIT_FOR(closed == 1);
    close(fd);
}

static void a_session_that_does_not_read(void **state)
{
    static char data[65536];
    int fd = connect_one();
    int rc = 0;
    size_t sent = 0;
    (void)state;

    memset(data, 'x', sizeof(data));
    send_all(fd, "hello\n", 6);
    WAIT_FOR(lines == 1);
    while (rc == 0 && sent < 4 * (size_t)WW_CONTROL_QUEUE_BYTES_MAX) {
        rc = ww_control_send(control, last_session, data, sizeof(data));
        sent += sizeof(data);
        ww_loop_turn(loop, 0);
    }
    assert_int_equal(rc, WW_ELIMIT);
    assert_int_equal(closed, 1);
    close(fd);
}

/* Many lines at once are taken a few in each turn of the loop, and all before the end counts. */
static void a_flood_of_lines(void **state)
{
    static char data[2000];
    int fd = connect_one();
    size_t most = 0;
    (void)state;

    memset(data, '\n', sizeof(data));
    ww_loop_turn(loop, 1000);
    assert_int_equal(send(fd, data, sizeof(data), MSG_NOSIGNAL), sizeof(data));
    close(fd);
    for (size_t turn = 0; turn < sizeof(data) && closed == 0; turn++) {
        size_t before = lines;
        ww_loop_turn(loop, 1000);
        most = WW_MAX(most, lines - before);
    }
    assert_int_equal(closed, 1);
    assert_int_equal(lines, sizeof(data));
    assert_true(most <= 2 * WW_CONTROL_TURN_LINES_MAX);
}

static void sessions_are_bounded(void **state)
{
    int fds[WW_CONTROL_SESSIONS_MAX + 4];
    char text[8];
    (void)state;

    for (size_t index = 0; index < WW_ARRAY_COUNT(fds); index++) {
        fds[index] = connect_one();
        ww_loop_turn(loop, 1000);
    }
    for (size_t index = WW_CONTROL_SESSIONS_MAX; index < WW_ARRAY_COUNT(fds); index++)
        assert_int_equal(receive(fds[index], text, sizeof(text), true), 0);
    send_all(fds[0], "one\n", 4);
    WAIT_FOR(lines == 1);
    for (size_t index = 0; index < WW_ARRAY_COUNT(fds); index++)
        close(fds[index]);
    WAIT_FOR(closed == WW_CONTROL_SESSIONS_MAX);
    fds[0] = connect_one();
    send_all(fds[0], "two\n", 4);
    WAIT_FOR(lines == 2);
    close(fds[0]);
    WAIT_FOR(closed == WW_CONTROL_SESSIONS_MAX + 1);
}

static void paths(void **state)
{
    struct ww_control *second = NULL;
    char other[108], long_path[200];
    (void)state;

    assert_int_equal(ww_control_create(loop, path, &CALLBACKS, NULL, &second), WW_EEXIST);
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(ww_control_create(loop, long_path, &CALLBACKS, NULL, &second), WW_ETOOBIG);
    snprintf(other, sizeof(other), "%s/none/x.sock", folder);
    assert_int_not_equal(ww_control_create(loop, other, &CALLBACKS, NULL, &second), 0);

    /* A file that is no socket stays; a socket that nobody listens on is replaced. */
    snprintf(other, sizeof(other), "%s/file", folder);
    close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_not_equal(ww_control_create(loop, other, &CALLBACKS, NULL, &second), 0);
    assert_int_equal(unlink(other), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, other, sizeof(address.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    assert_int_equal(ww_control_create(loop, other, &CALLBACKS, NULL, &second), 0);
    ww_control_destroy(second);
    ww_control_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_and_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(the_socket_is_private, setup, teardown),
        cmocka_unit_test_setup_teardown(a_close_from_inside_a_line, setup, teardown),
        cmocka_unit_test_setup_teardown(an_end_from_inside_a_line, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_that_does_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flood_of_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(sessions_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(paths, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
