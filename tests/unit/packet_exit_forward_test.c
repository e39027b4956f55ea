/* Uplinks by their names: an interface in a network namespace of a child's own. */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "exit_device.h"

#define UNABLE 77 /* no namespaces here */

static bool write_off(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = fd >= 0 && write(fd, "0", 1) == 1;

    if (fd >= 0)
        close(fd);
    return is_written;
}

/* Names the loopback interface of a new namespace so; nothing in it forwards. */
static bool make_interface(const char *name)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd;

    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    memcpy(request.ifr_newname, name, strlen(name) + 1);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && ioctl(fd, SIOCSIFNAME, &request) == 0 &&
           write_off("/proc/sys/net/ipv4/conf/all/forwarding");
}

/* In a child, which leaves the namespace behind: what is told of an uplink of this name, as the
 * code and the elements. */
static void plan(const char *name, int expected_rc, const char *expected)
{
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        struct ww_exit_uplinks uplinks = {.count = 1, .list[0].is_v4 = true};
        struct ww_exit_forward forward = {.all_v6 = false};
        int rc;

        if (!make_interface(name))
            _exit(UNABLE);
        memcpy(uplinks.list[0].name, name, strlen(name) + 1);
        ww_buf_init(&forward.turned_v4, 1024);
        ww_buf_init(&forward.turned_v6, 1024);
        rc = ww_exit_forward_on(NULL, "default", &uplinks, &forward);
        _exit(rc != expected_rc || strcmp(ww_buf_text(&forward.turned_v4), expected) != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == UNABLE)
        skip();
    if (WEXITSTATUS(status) != 0)
        print_error("the interface %s\n", name);
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void usual_names_are_quoted(void **state)
{
    (void)state;
    plan("eth0.12", 0, "\"eth0.12\"");
    plan("wl-x_1@y;{#$", 0, "\"wl-x_1@y;{#$\"");
}

static void names_that_break_the_rules_are_refused(void **state)
{
    static const char *names[] = {"a\"b", "a\"};}", "eth*", "a\\*", "a..b", "b\xc3\xbc", "a\x01"};

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(names); i++)
        plan(names[i], WW_EUNSUPPORTED, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual_names_are_quoted),
        cmocka_unit_test(names_that_break_the_rules_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
