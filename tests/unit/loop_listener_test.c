/* Listeners on unix sockets: mode, left-over files, streams that connect at once. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "test.h"
#include "ww/loop.h"

static struct ww_loop *loop;
static char folder[] = "/tmp/ww-listener-XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
    return ww_loop_create(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    ww_loop_destroy(loop);
    unlink(address.sun_path);
    return rmdir(folder);
}

struct accepted {
    struct ww_listener *listener;
    int count;
    bool destroys;
};

static void on_accept(void *arg, int fd, const struct sockaddr *peer, socklen_t peer_size)
{
    struct accepted *accepted = arg;

    (void)peer_size;
    assert_int_equal(peer->sa_family, AF_UNIX);
    close(fd);
    accepted->count++;
    if (accepted->destroys) {
        ww_listener_destroy(accepted->listener);
        accepted->listener = NULL;
    }
}

static int listen_at(struct accepted *accepted)
{
    return ww_listener_create(loop, (struct sockaddr *)&address, sizeof(address), on_accept,
                              accepted, &accepted->listener);
}

static void on_connected(void *arg)
{
    (*(int *)arg)++;
}

static const struct ww_stream_callbacks callbacks = {.connected = on_connected};

static void test_mode_and_life(void **state)
{
    struct accepted accepted = {0};
    struct accepted second = {0};
    struct ww_stream *stream;
    struct stat status;
    int connected = 0;
    mode_t mask = umask(0);

    (void)state;
    assert_int_equal(listen_at(&accepted), 0);
    umask(mask);
    assert_int_equal(stat(address.sun_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    /* A living one is never replaced. */
    assert_int_equal(listen_at(&second), WW_EEXIST);

    assert_int_equal(ww_stream_connect(loop, (struct sockaddr *)&address, sizeof(address),
                                       &callbacks, &connected, &stream),
                     0);
    assert_int_equal(connected, 0);
    for (int i = 0; i < 100 && (!connected || accepted.count < 1); i++)
        ww_loop_turn(loop, 10000);
    assert_int_equal(connected, 1);
    ww_stream_destroy(stream);
    ww_listener_destroy(accepted.listener);
    assert_int_equal(stat(address.sun_path, &status), -1);
    assert_int_equal(ww_stream_connect(loop, (struct sockaddr *)&address, sizeof(address),
                                       &callbacks, &connected, &stream),
                     WW_ENOTFOUND);
}

static void test_stale_socket_is_replaced(void **state)
{
    struct accepted accepted = {0};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    close(fd); /* as a killed process leaves it */
    assert_int_equal(listen_at(&accepted), 0);
    ww_listener_destroy(accepted.listener);
}

static void test_other_files_are_kept(void **state)
{
    struct accepted accepted = {0};
    FILE *file = fopen(address.sun_path, "w");

    (void)state;
    assert_non_null(file);
    fclose(file);
    assert_int_equal(listen_at(&accepted), WW_EEXIST);
    assert_int_equal(access(address.sun_path, F_OK), 0);
    unlink(address.sun_path);
}

static void test_destroy_while_accepting(void **state)
{
    struct accepted accepted = {.destroys = true};
    struct ww_stream *streams[3];
    int connected = 0;

    (void)state;
    assert_int_equal(listen_at(&accepted), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ww_stream_connect(loop, (struct sockaddr *)&address, sizeof(address),
                                           &callbacks, &connected, &streams[i]),
                         0);
    for (int i = 0; i < 10; i++)
        ww_loop_turn(loop, 1000);
    assert_int_equal(accepted.count, 1);
    assert_null(accepted.listener);
    for (int i = 0; i < 3; i++)
        ww_stream_destroy(streams[i]);
}

static void test_errors(void **state)
{
    struct accepted accepted = {0};
    struct sockaddr_un nowhere = {.sun_family = AF_UNIX, .sun_path = "/no/such/folder/socket"};

    (void)state;
    assert_int_equal(ww_listener_create(loop, (struct sockaddr *)&nowhere, sizeof(nowhere),
                                        on_accept, &accepted, &accepted.listener),
                     WW_ESYSTEM);
    assert_int_equal(errno, ENOENT);
    ww_listener_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mode_and_life),
        cmocka_unit_test(test_stale_socket_is_replaced),
        cmocka_unit_test(test_other_files_are_kept),
        cmocka_unit_test(test_destroy_while_accepting),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
