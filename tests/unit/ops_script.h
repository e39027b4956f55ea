/* A trusted VM that runs a text: the text becomes lua/case.lua of a scratch folder. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test.h"
#include "ww/base.h"
#include "ww/ops.h"

struct script {
    char folder[64];
    char file[96];
    struct ww_loop *loop;
    struct ww_ops *ops;
};

static inline void script_write(struct script *script, const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", script->folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    fclose(file);
}

static inline void script_open(struct script *script)
{
    static char program[] = "ww", argument[] = "one";
    static char *arguments[] = {program, argument, NULL};
    struct ww_ops_config config = {.lua_folder = script->folder, .argc = 2, .argv = arguments};

    memset(script, 0, sizeof(*script));
    snprintf(script->folder, sizeof(script->folder), "/tmp/ww-ops-test.XXXXXX");
    assert_non_null(mkdtemp(script->folder));
    assert_int_equal(ww_loop_create(&script->loop), 0);
    assert_int_equal(ww_ops_create(script->loop, &config, &script->ops), 0);
}

/* The body of `main`; gives what it exits with, 70 when it raised. */
static inline int script_run(struct script *script, const char *body)
{
    static int count;
    char module[32], name[40];
    size_t size = strlen(body) + 128;
    char *text = malloc(size);

    assert_non_null(text);
    snprintf(module, sizeof(module), "case%d", ++count);
    snprintf(name, sizeof(name), "%s.lua", module);
    snprintf(text, size, "return { main = function()\n%s\nend }\n", body);
    script_write(script, name, text);
    free(text);
    return ww_ops_run(script->ops, module);
}

static inline void script_close(struct script *script)
{
    char command[128];
    ww_ops_destroy(script->ops);
    ww_loop_destroy(script->loop);
    snprintf(command, sizeof(command), "rm -rf '%s'", script->folder);
    assert_int_equal(system(command), 0);
}
