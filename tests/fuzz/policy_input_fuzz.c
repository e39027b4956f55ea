/* Any text as the input of a hook, which the first byte chooses: it is read or refused with a
 * sentence, and what was read comes back the same from its own printed form. */
#include <string.h>

#include "ww/buf.h"
#include "ww/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static union ww_hook_any input, again;
    static struct ww_policy_given given;
    struct ww_policy_fault fault;
    struct ww_buf printed;
    enum ww_hook hook;

    if (size < 1 || size > 4096)
        return 0;
    hook = (enum ww_hook)(data[0] % WW_HOOK_COUNT);
    memset(&input, 0, sizeof(input));
    memset(&again, 0, sizeof(again));
    if (ww_policy_read_input(hook, (const char *)data + 1, size - 1, &input, &given, &fault)) {
        WW_REQUIRE(fault.message[0]);
        return 0;
    }
    ww_buf_init(&printed, 1 << 20);
    ww_hook_print_input(hook, &input, &printed);
    WW_REQUIRE(!printed.error);
    /* A long list prints longer than a file may be. */
    if (printed.size <= WW_POLICY_FILE_BYTES_MAX) {
        WW_REQUIRE(ww_policy_read_input(hook, (const char *)printed.data, printed.size, &again,
                                        &given, &fault) == 0);
        WW_REQUIRE(memcmp(&input, &again, sizeof(input)) == 0);
    }
    ww_buf_deinit(&printed);
    return 0;
}
