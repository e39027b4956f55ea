/* Declarations: the client's signed lists of destinations, carried and checked for their form. What
 * they cover and whether their signature is right is the owners' business. One waits for the lane
 * at most; none ever holds up a stream. */
#include <string.h>

#include "room.h"

int ww_transfer_declare(struct ww_transfer *t, const uint8_t *bytes, size_t size, uint64_t now_us)
{
    if (t->is_dead)
        return WW_ECLOSED;
    if (!t->is_client)
        return WW_ESTATE;
    if (size == 0 || size > WW_DECLARATION_BYTES_MAX)
        return WW_ETOOBIG;
    if (t->declaration_size)
        return WW_EAGAIN;
    ww_transfer_enter(t, now_us);
    memcpy(t->declaration, bytes, size);
    t->declaration_size = size;
    t->is_control_due = true;
    ww_transfer_leave(t, false);
    return 0;
}

bool ww_transfer_declaration_is_waiting(const struct ww_transfer *t)
{
    return t->declaration_size != 0;
}

/* A contract that has just ended may still be named: the declaration was on its way. */
static bool is_contract_known(struct ww_transfer *t, const struct ww_id *id)
{
    const struct transfer_contract *contract = ww_transfer_contract_find(t, id);

    return contract ? contract->is_announced
                    : t->had_contract && ww_id_equal(id, &t->last_contract);
}

void ww_transfer_declaration_came(struct ww_transfer *t, const struct ww_frame *frame)
{
    struct ww_declaration declaration;
    int rc = ww_wire_declaration_decode(frame->proof.bytes, frame->proof.size, &declaration, NULL);

    if (t->is_client) {
        ww_transfer_fail(t, WW_EPROTOCOL, "A provider sent a declaration");
    } else if (rc != 0) {
        ww_transfer_fail(t, rc, "A declaration is malformed");
    } else if (!is_contract_known(t, &declaration.contract_id)) {
        ww_transfer_fail(t, WW_EPROTOCOL, "A declaration is of another contract");
    } else if (memcmp(declaration.epoch, t->open_epoch, WW_EPOCH_SIZE) != 0) {
        ww_transfer_fail(t, WW_EPROTOCOL, "A declaration is of another boot epoch");
    } else if (declaration.batch <= t->declaration_batch) {
        ww_transfer_fail(t, WW_EPROTOCOL, "A declaration goes back");
    } else {
        t->declaration_batch = declaration.batch;
        t->callbacks.declaration(t->arg, &declaration, frame->proof.bytes, frame->proof.size);
    }
}
