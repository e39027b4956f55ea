/* Collecting the files of a policy set: from memory, from the program, from a folder.
 *
 * Relies on scripts.h for what is built in. The only file I/O of this room; every size is checked
 * before it is read.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm.h"
#include "ww/scripts.h"

#define SUFFIX ".lua"

void ww_policy_sources_init(struct ww_policy_sources *sources)
{
    memset(sources, 0, sizeof(*sources));
}

void ww_policy_sources_deinit(struct ww_policy_sources *sources)
{
    for (size_t index = 0; index < sources->count; index++)
        ww_free(sources->items[index].text);
    memset(sources, 0, sizeof(*sources));
}

/* "x.lua" or "x.test.lua", with x of a-z, 0-9 and _. */
static bool is_good_name(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

    return size > 0 && strlen(name) < sizeof(((struct ww_policy_source *)0)->name) &&
           (strcmp(name + size, SUFFIX) == 0 || strcmp(name + size, ".test" SUFFIX) == 0);
}

static struct ww_policy_source *find(struct ww_policy_sources *sources, const char *name)
{
    for (size_t index = 0; index < sources->count; index++) {
        if (strcmp(sources->items[index].name, name) == 0)
            return &sources->items[index];
    }
    return NULL;
}

static void drop(struct ww_policy_sources *sources, struct ww_policy_source *source)
{
    size_t index = (size_t)(source - sources->items);

    ww_free(source->text);
    sources->count--;
    memmove(source, source + 1, (sources->count - index) * sizeof(*source));
    memset(&sources->items[sources->count], 0, sizeof(*source));
}

/* The tests of a policy that is replaced tested another one. */
static void drop_test_of(struct ww_policy_sources *sources, const char *name)
{
    struct ww_policy_source *test;
    char test_name[80];

    snprintf(test_name, sizeof(test_name), "%.*s.test" SUFFIX, (int)(strlen(name) - strlen(SUFFIX)),
             name);
    test = find(sources, test_name);
    if (test)
        drop(sources, test);
}

/* Keeps the order of names, so that a set's hash does not depend on the order of adding. */
static struct ww_policy_source *insert(struct ww_policy_sources *sources, const char *name)
{
    size_t index = sources->count;

    while (index > 0 && strcmp(sources->items[index - 1].name, name) > 0) {
        sources->items[index] = sources->items[index - 1];
        index--;
    }
    sources->count++;
    memset(&sources->items[index], 0, sizeof(sources->items[index]));
    snprintf(sources->items[index].name, sizeof(sources->items[index].name), "%s", name);
    return &sources->items[index];
}

int ww_policy_sources_add(struct ww_policy_sources *sources, const char *name, const char *text,
                          size_t size)
{
    struct ww_policy_source *source;
    size_t total = size;
    char *copy;

    if (!is_good_name(name))
        return WW_EINVAL;
    for (size_t index = 0; index < sources->count; index++) {
        if (strcmp(sources->items[index].name, name) != 0)
            total += sources->items[index].size;
    }
    if (size > WW_POLICY_FILE_BYTES_MAX || total > WW_POLICY_SET_BYTES_MAX)
        return WW_ETOOBIG;
    source = find(sources, name);
    if (!source && sources->count >= WW_POLICY_FILES_MAX)
        return WW_ELIMIT;
    copy = ww_alloc(size + 1, 1);
    if (!copy)
        return WW_ENOMEM;
    memcpy(copy, text, size);
    if (source && (source->size != size || memcmp(source->text, text, size) != 0)) {
        drop(sources, source);
        drop_test_of(sources, name);
        source = NULL;
    }
    if (!source)
        source = insert(sources, name);
    ww_free(source->text);
    source->text = copy;
    source->size = size;
    return 0;
}

int ww_policy_sources_add_embedded(struct ww_policy_sources *sources, const char *prefix)
{
    size_t prefix_size = strlen(prefix);
    bool any = false;

    for (size_t index = 0; index < ww_script_count(); index++) {
        const char *name;
        const char *text;
        size_t size;
        int rc = ww_script_at(index, &name, &text, &size);

        if (rc)
            return rc;
        if (strncmp(name, prefix, prefix_size) != 0 || name[prefix_size] != '/' ||
            strchr(name + prefix_size + 1, '/'))
            continue;
        rc = ww_policy_sources_add(sources, name + prefix_size + 1, text, size);
        if (rc)
            return rc;
        any = true;
    }
    return any ? 0 : WW_ENOTFOUND;
}

/* --- folders ------------------------------------------------------------------------------ */

static int blame(struct ww_policy_fault *fault, int rc, const char *file, const char *message)
{
    memset(fault, 0, sizeof(*fault));
    fault->kind = rc;
    snprintf(fault->file, sizeof(fault->file), "%s", file);
    snprintf(fault->message, sizeof(fault->message), "%s", message);
    return rc;
}

static int read_open(struct ww_policy_sources *sources, int file, const char *name,
                     struct ww_policy_fault *fault)
{
    struct stat about;
    char *text = NULL;
    size_t size = 0;
    int rc = 0;

    if (fstat(file, &about))
        return blame(fault, WW_EIO, name, "the file can't be read");
    if (!S_ISREG(about.st_mode))
        return blame(fault, WW_EINVAL, name, "this is not a regular file");
    if (about.st_size > WW_POLICY_FILE_BYTES_MAX)
        return blame(fault, WW_ETOOBIG, name, "the file is too large for a policy");
    text = ww_alloc(WW_POLICY_FILE_BYTES_MAX + 1, 1);
    if (!text)
        return blame(fault, WW_ENOMEM, name, "memory ran out");
    while (size <= WW_POLICY_FILE_BYTES_MAX) { /* it may grow while we read */
        ssize_t got = read(file, text + size, WW_POLICY_FILE_BYTES_MAX + 1 - size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = WW_EIO;
        if (got <= 0)
            break;
        size += (size_t)got;
    }
    if (!rc)
        rc = ww_policy_sources_add(sources, name, text, size);
    ww_free(text);
    if (rc == WW_EINVAL)
        blame(fault, rc, name, "a policy file is named x.lua or x.test.lua, with x of a-z, 0-9, _");
    else if (rc)
        blame(fault, rc, name, ww_error_what(rc));
    return rc;
}

static int read_file(struct ww_policy_sources *sources, int folder, const char *name,
                     struct ww_policy_fault *fault)
{
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO doesn't block */
    int rc;

    if (file < 0)
        return blame(fault, WW_EIO, name, "the file can't be opened");
    rc = read_open(sources, file, name, fault);
    close(file);
    return rc;
}

static int is_lua(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);

    return entry->d_name[0] != '.' && size > strlen(SUFFIX) &&
           strcmp(entry->d_name + size - strlen(SUFFIX), SUFFIX) == 0;
}

int ww_policy_sources_add_folder(struct ww_policy_sources *sources, const char *folder,
                                 struct ww_policy_fault *fault)
{
    struct dirent **entries = NULL;
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int count;
    int rc = 0;

    if (descriptor < 0)
        return blame(fault, errno == ENOENT ? WW_ENOTFOUND : WW_EIO, folder,
                     "the folder of policies can't be opened");
    count = scandirat(descriptor, ".", &entries, is_lua, alphasort);
    if (count < 0)
        rc = blame(fault, WW_EIO, folder, "the folder of policies can't be read");
    /* Policies first: adding x.lua drops the x.test.lua of the text that it replaces. */
    for (int pass = 0; pass < 2; pass++) {
        for (int index = 0; index < count && !rc; index++) {
            bool is_test = strstr(entries[index]->d_name, ".test" SUFFIX) != NULL;

            if (is_test == (pass == 1))
                rc = read_file(sources, descriptor, entries[index]->d_name, fault);
        }
    }
    for (int index = 0; index < count; index++)
        free(entries[index]);
    free(entries);
    close(descriptor);
    return rc;
}
