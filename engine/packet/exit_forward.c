/* What the host forwards. Relies on /proc/sys/net. Whatever is changed is noted first, so that it
 * can be undone by whoever starts next, should this process be killed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exit_device.h"

#define PATH_BYTES 160
#define NOTE_FILE  "exit-forwarding"
#define ROOT       "/proc/sys/net/"

static bool read_value(const char *path, char *value)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_read = fd >= 0 && read(fd, value, 1) == 1;

    if (fd >= 0)
        close(fd);
    return is_read;
}

static int write_value(const char *path, char value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

    if (fd < 0 || write(fd, &value, 1) != 1)
        rc = errno == EACCES || errno == EPERM || errno == EROFS ? WW_EPERM : WW_EIO;
    if (fd >= 0)
        close(fd);
    return rc;
}

static int note(const char *folder, const char *path, char from, char to)
{
    char name[4096];
    int fd, rc = 0;

    snprintf(name, sizeof(name), "%s/" NOTE_FILE, folder);
    fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || dprintf(fd, "%s %c %c\n", path, from, to) < 0 || fdatasync(fd) != 0)
        rc = WW_EIO;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* *changed (may be NULL): it was another value. */
static int set(const char *folder, const char *path, char value, bool *changed)
{
    char now;
    int rc;

    if (changed)
        *changed = false;
    if (!read_value(path, &now))
        return WW_ENOTFOUND;
    if (now == value)
        return 0;
    rc = folder ? note(folder, path, now, value) : 0;
    if (folder && rc == 0)
        rc = write_value(path, value);
    if (rc == 0 && changed)
        *changed = true;
    return rc;
}

static int set_of(const char *folder, const char *family, const char *interface, const char *key,
                  bool *changed)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof(path), ROOT "%s/conf/%s/%s", family, interface, key);
    return set(folder, path, '1', changed);
}

/* The kernel takes any byte but '/', ':' and white space in an interface's name. nft's strings end
 * at a quote, whatever is before it, take '*' for "whatever begins so" and '\\' for its escape; and
 * a path with ".." is never undone. */
static bool is_nameable(const char *name)
{
    for (size_t i = 0; name[i]; i++) {
        if (name[i] <= ' ' || name[i] > '~' || strchr("\"*\\", name[i]))
            return false;
    }
    return name[0] && !strstr(name, "..");
}

/* An uplink that was no router becomes one only if the rules can name it: they keep it from being
 * one for anybody but the tunnel. */
static int turn_on(const char *folder, const char *family, const char *key, const char *name,
                   struct ww_buf *turned)
{
    bool changed;
    int rc = set_of(NULL, family, name, key, &changed);

    if (rc || !changed)
        return rc;
    if (!is_nameable(name))
        return WW_EUNSUPPORTED;
    rc = set_of(folder, family, name, key, &changed);
    if (rc == 0 && changed)
        ww_buf_printf(turned, "%s\"%s\"", turned->size ? ", " : "", name);
    return rc;
}

/* Before Linux 6.17 only all interfaces together can forward IPv6, and then they are routers, which
 * take no advertisements: those that did go on. */
static int all_v6_on(const char *folder, const struct ww_exit_uplinks *uplinks,
                     struct ww_exit_forward *forward)
{
    char path[PATH_BYTES], value;

    for (size_t i = 0; i < uplinks->count; i++) {
        snprintf(path, sizeof(path), ROOT "ipv6/conf/%s/accept_ra", uplinks->list[i].name);
        if (uplinks->list[i].is_v6 && read_value(path, &value) && value == '1') {
            int rc = set(folder, path, '2', NULL);

            if (rc)
                return rc;
        }
    }
    return set_of(folder, "ipv6", "all", "forwarding", &forward->all_v6);
}

static int v6_on(const char *folder, const char *device, const struct ww_exit_uplinks *uplinks,
                 struct ww_exit_forward *forward)
{
    int rc = 0;
    bool has_uplink = false;
    char all;

    for (size_t i = 0; i < uplinks->count; i++)
        has_uplink = has_uplink || uplinks->list[i].is_v6;
    if (!has_uplink || (read_value(ROOT "ipv6/conf/all/forwarding", &all) && all == '1'))
        return 0;
    rc = set_of(folder, "ipv6", device, "force_forwarding", NULL);
    if (rc == WW_ENOTFOUND)
        return all_v6_on(folder, uplinks, forward);
    for (size_t i = 0; i < uplinks->count && rc == 0; i++) {
        if (!uplinks->list[i].is_v6)
            continue;
        rc =
            turn_on(folder, "ipv6", "force_forwarding", uplinks->list[i].name, &forward->turned_v6);
    }
    return rc;
}

int ww_exit_forward_on(const char *folder, const char *device,
                       const struct ww_exit_uplinks *uplinks, struct ww_exit_forward *forward)
{
    int rc = set_of(folder, "ipv4", device, "forwarding", NULL);

    for (size_t i = 0; i < uplinks->count && rc == 0; i++) {
        if (!uplinks->list[i].is_v4)
            continue;
        rc = turn_on(folder, "ipv4", "forwarding", uplinks->list[i].name, &forward->turned_v4);
    }
    return rc ? rc : v6_on(folder, device, uplinks, forward);
}

void ww_exit_forward_undo(const char *folder)
{
    char name[4096], lines[64][PATH_BYTES + 8];
    size_t count = 0;
    FILE *file;

    snprintf(name, sizeof(name), "%s/" NOTE_FILE, folder);
    file = fopen(name, "re");
    if (!file)
        return;
    while (count < WW_ARRAY_COUNT(lines) && fgets(lines[count], sizeof(lines[count]), file))
        count++;
    fclose(file);
    while (count-- > 0) { /* the last first: `all` sets the others */
        char path[PATH_BYTES], from, to, now;

        if (sscanf(lines[count], "%159s %c %c", path, &from, &to) == 3 &&
            strncmp(path, ROOT, sizeof(ROOT) - 1) == 0 && !strstr(path, "..") &&
            read_value(path, &now) && now == to)
            write_value(path, from);
    }
    unlink(name);
}
