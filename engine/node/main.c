/* The program: makes the loop and the trusted VM, binds every kind of node to it, and lets
 * lua/ops/main.lua read the command line. */
#include <stdlib.h>

#include "ww/crypto.h"
#include "ww/inspect.h"

#include "node.h"

struct program {
    struct ww_loop *loop;
    struct ww_ops *ops;
    struct arbiter *arbiter;
    struct client *client;
    struct provider *provider;
    struct load *load;
};

static int program_init(struct program *program, int argc, char **argv)
{
    struct ww_ops_config config = {.lua_folder = getenv("WW_LUA"), .argc = argc, .argv = argv};
    int rc = ww_loop_create(&program->loop);

    if (!rc)
        rc = ww_ops_create(program->loop, &config, &program->ops);
    if (!rc)
        rc = arbiter_bind(program->ops, &program->arbiter);
    if (!rc)
        rc = client_bind(program->ops, &program->client);
    if (!rc)
        rc = provider_bind(program->ops, &program->provider);
    if (!rc)
        rc = load_bind(program->ops, &program->load);
    if (!rc)
        rc = policy_bind(program->ops);
    if (!rc)
        rc = contract_bind(program->ops);
    if (!rc)
        rc = host_bind(program->ops);
    if (!rc)
        rc = files_bind(program->ops);
    return rc;
}

/* Nodes first: what they still have to tell finds no Lua any more, and no handler runs. */
static void program_deinit(struct program *program)
{
    load_destroy(program->load);
    client_destroy(program->client);
    provider_destroy(program->provider);
    arbiter_destroy(program->arbiter);
    ww_ops_destroy(program->ops);
    ww_loop_destroy(program->loop);
}

int main(int argc, char **argv)
{
    struct program program = {0};
    int code = 70; /* EX_SOFTWARE */

    ww_inspect_main(argc, argv);
    ww_crypto_init();
    int rc = program_init(&program, argc, argv);
    if (rc)
        ww_log(WW_LOG_ERROR, "node", "the program can't start", "code=%s", ww_error_name(rc));
    else
        code = ww_ops_run(program.ops, "ops.main");
    program_deinit(&program);
    return code;
}
