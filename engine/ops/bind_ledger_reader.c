/* One thread that reads the books of a running arbiter, beside everything else: for a backup, or to
 * verify them. It sees a snapshot of the store, and touches nothing of the loop's.
 *
 * Not the arbiter's pool: whoever waits for a signature there would wait for all the books. */
#include "ww/store.h"

#include "vm.h"

/* Looking whether the thread is done costs nothing, and needs no message that could come late. */
#define LOOK_US 20000

static void *reader_thread(void *arg)
{
    struct ww_ops_reader *reader = arg;

    pthread_setname_np(pthread_self(), "ww-reader");
    reader->read(reader);
    atomic_store(&reader->is_done, true);
    return NULL;
}

static void look(void *arg)
{
    struct ww_ops_reader *reader = arg;
    struct ww_ops *ops = reader->ops;

    if (!atomic_load(&reader->is_done)) {
        ww_timer_start(reader->timer, LOOK_US);
        return;
    }
    pthread_join(reader->thread, NULL);
    ops->reader = NULL;
    ww_ops_push_ref(ops, reader->function);
    ww_ops_unref(ops, &reader->function);
    int count = reader->push(ops->lua, reader);
    ww_timer_destroy(reader->timer);
    reader->destroy(reader);
    ww_ops_protected(ops, count, 0);
}

void ww_ops_reader_end(struct ww_ops *ops)
{
    struct ww_ops_reader *reader = ops->reader;

    if (!reader)
        return;
    ww_store_end_scans(reader->store);
    pthread_join(reader->thread, NULL);
    ops->reader = NULL;
    if (!ops->closing && ops->lua)
        ww_ops_unref(ops, &reader->function);
    ww_timer_destroy(reader->timer);
    reader->destroy(reader);
}

static int start(struct ww_ops_reader *reader)
{
    struct ww_ops *ops = reader->ops;
    int rc = ww_timer_create(ops->loop, look, reader, &reader->timer);

    if (!rc && pthread_create(&reader->thread, NULL, reader_thread, reader) != 0)
        rc = WW_ESYSTEM;
    if (rc)
        return rc;
    ops->reader = reader;
    ww_timer_start(reader->timer, LOOK_US);
    return 0;
}

int ww_ops_reader_start(lua_State *lua, struct ww_ops_reader *reader)
{
    struct ww_ops *ops = ww_ops_of(lua);
    int rc = WW_ENOTFOUND;

    reader->ops = ops;
    reader->store = ops->store;
    reader->function = ww_ops_field_function(lua, 1, "done");
    if (ops->reader)
        rc = WW_EAGAIN;
    else if (ops->store)
        rc = start(reader);
    if (!rc) {
        lua_pushboolean(lua, 1);
        return 1;
    }
    ww_ops_unref(ops, &reader->function);
    ww_timer_destroy(reader->timer);
    reader->destroy(reader);
    return ww_ops_push_error(lua, rc,
                             rc == WW_EAGAIN      ? "the books are being read already"
                             : rc == WW_ENOTFOUND ? "this node has no books"
                                                  : NULL);
}
