/* A scratch folder for tests of files, and the openssl command line as a second opinion.
 *
 * Relies on mkdtemp's names needing no quotes in a shell.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[64];

static int scratch_make(void **state)
{
    (void)state;
    snprintf(scratch, sizeof(scratch), "/tmp/ww-crypto-XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}

/* Runs a shell command inside the scratch folder; its exit status. */
static inline int scratch_run(const char *command)
{
    char line[1024];

    assert_true(snprintf(line, sizeof(line), "cd %s && { %s; } >output 2>&1", scratch, command) <
                (int)sizeof(line));
    return system(line);
}

static int scratch_remove(void **state)
{
    char line[128];

    (void)state;
    snprintf(line, sizeof(line), "rm -rf %s", scratch);
    return system(line);
}

static inline const char *scratch_path(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
    return path;
}

static inline void scratch_write(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(scratch_path(name), "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* At most `capacity` bytes of the file; how many there were. */
static inline size_t scratch_read(const char *name, void *out, size_t capacity)
{
    FILE *file = fopen(scratch_path(name), "rb");
    size_t size;

    assert_non_null(file);
    size = fread(out, 1, capacity, file);
    fclose(file);
    return size;
}
