/* ww.files: what a node reads from its files, without a node: whether those that a configuration
 * names hold it, and the footprint (flows.h).
 *
 * geo{files={…}}, block_lists{files={…}} -> {problems={{file, why, fix}…}}, in the order of files:
 * none for those that a node would start with. */
#include <unistd.h>

#include "client_dns.h"
#include "flows.h"
#include "node.h"

typedef int (*add_fn)(void *set, const char *path);

static void put_problem(struct ww_call *call, const char *file, const char *why, const char *fix)
{
    ww_call_begin(call, NULL, false);
    ww_call_put_text(call, "file", file);
    ww_call_put_text(call, "why", why);
    ww_call_put_text(call, "fix", fix);
    ww_call_end(call);
}

/* What helps where it isn't that the file holds something else. */
static const char *fix_of(int rc, const char *file, const char *otherwise)
{
    if (rc == WW_ENOTFOUND && access(file, F_OK) != 0)
        return "put it there, or name it no more";
    if (rc == WW_ENOTFOUND || rc == WW_ESYSTEM)
        return "let this user read it";
    return otherwise;
}

/* Each file by itself, into the set of all of them. WW_ENOMEM ends it. */
static int check_files(struct ww_call *call, void *set, add_fn add, const char *(*why)(int rc),
                       const char *(*fix)(int rc, const char *file))
{
    const char *file = NULL;
    int rc = 0;

    ww_call_begin(call, "problems", true);
    for (size_t index = 0; !rc && !ww_call_text_at(call, "files", index, &file); index++) {
        int result = add(set, file);
        if (result == WW_ENOMEM)
            rc = result;
        else if (result)
            put_problem(call, file, why(result), fix(result, file));
    }
    ww_call_end(call);
    return rc;
}

static int add_geo(void *set, const char *path)
{
    return ww_geo_add(set, path);
}

static const char *geo_fix(int rc, const char *file)
{
    return fix_of(rc, file,
                  rc == WW_ELIMIT ? "name fewer files"
                                  : "unpack it (.mmdb, no archive), or download it again");
}

static int bound_geo(void *context, struct ww_call *call)
{
    struct ww_geo *geo = NULL;
    int rc = ww_geo_create(&geo);

    (void)context;
    if (!rc)
        rc = check_files(call, geo, add_geo, flows_geo_why, geo_fix);
    ww_geo_destroy(geo);
    return rc;
}

static int add_list(void *set, const char *path)
{
    size_t names = 0, skipped = 0;
    return ww_dns_lists_add(set, path, &names, &skipped);
}

static const char *list_fix(int rc, const char *file)
{
    return fix_of(rc, file,
                  rc == WW_ELIMIT ? "name fewer or smaller lists"
                                  : "give a file with a name in each line, or a hosts file");
}

static int bound_block_lists(void *context, struct ww_call *call)
{
    struct ww_dns_lists *lists = NULL;
    int rc = ww_dns_lists_create(&lists);

    (void)context;
    if (!rc)
        rc = check_files(call, lists, add_list, client_dns_lists_why, list_fix);
    ww_dns_lists_destroy(lists);
    return rc;
}

int files_bind(struct ww_ops *ops)
{
    static const struct ww_ops_function functions[] = {
        {"geo", bound_geo},
        {"block_lists", bound_block_lists},
        {"footprint", flows_bound_footprint_of},
    };

    return ww_ops_bind(ops, "files", functions, WW_ARRAY_COUNT(functions), NULL);
}
