/* Inputs and results of the policy hooks, as plain structs made from hooks.def.
 *
 * `struct ww_hook_<name>` holds the fields of WW_STRUCT_BEGIN(<name>), and
 * `enum ww_hook_<choices>` the words of a closed set, as in
 * enum ww_hook_answer { WW_HOOK_REFUSE, WW_HOOK_ACCEPT }; the first is 0 and the safe one.
 * enum ww_hook { WW_HOOK_MARKET_STAT, …, WW_HOOK_COUNT } names the hooks themselves. A struct set
 * to zero is a valid empty input. Copied in and out; no pointers. A list x has x_count items in
 * x[]; an order x has x_count indices into the input's list.
 */
#pragma once
#include "ww/id.h"
#include "ww/limits.h"

/* Tables: clang-format would take them apart. */
/* clang-format off */
#define WW_HOOK_NUMBER_MAX    9007199254740991ULL  /* 2^53 - 1: what a Lua number holds exactly */
#define WW_HOOK_PRICE_MAX     1000000000000000ULL  /* a million dollars a GiB: surely a mistake above */
#define WW_HOOK_APPLICATION_SIZE 32 /* nDPI's longest name has 20 bytes */
#define WW_HOOK_ASSET_SIZE    16                   /* an asset's name, with its NUL */
#define WW_HOOK_ASSETS_MAX    8                    /* assets of one market */
#define WW_HOOK_PROVIDERS_MAX 256                  /* candidates that one ranking compares */
#define WW_HOOK_PATHS_MAX     16                   /* ways to one provider */
#define WW_HOOK_DAYS_MAX      90                   /* what a validation score looks back on */
#define WW_HOOK_WALLETS_MAX   16                   /* linked wallets of one network */
#define WW_HOOK_WALLET_SIZE   64                   /* a wallet's name, with its NUL */
#define WW_HOOK_VERDICT_S_MAX 3600                 /* how long a flow's verdict holds at most */
#define WW_HOOK_WINDOW_MIN    65536                /* protocol: the first window, 64 KiB */
#define WW_HOOK_WINDOW_MAX    (64 << 20)           /* four products of 1 Gbit/s and 125 ms */
#define WW_HOOK_REASON_SIZE   (WW_REASON_BYTES_MAX + 1)
#define WW_HOOK_KEY_SIZE      65                   /* a key of a policy's memory, with its NUL: a node id and a prefix */
#define WW_HOOK_VALUE_SIZE    33                   /* a text that it keeps, with its NUL */
#define WW_HOOK_REMEMBER_MAX  4                    /* of one decision */

/* A value of a policy's memory; what is not used of it is zero. */
struct ww_hook_value {
    uint64_t number; /* at most WW_HOOK_NUMBER_MAX */
    bool is_text;
    char text[WW_HOOK_VALUE_SIZE];
};

#define WW_CHOICES_BEGIN(name, doc)     enum ww_hook_##name {
#define WW_CHOICE(name, constant, word) WW_HOOK_##constant,
#define WW_CHOICES_END(name)            };
#include "ww/hooks.def"

#define WW_STRUCT_BEGIN(name, lua_name, doc) struct ww_hook_##name {
#define WW_U64(name, min, max, sample, doc)  uint64_t name;
#define WW_BOOL(name, sample, doc)           bool name;
#define WW_TEXT(name, size, sample, doc)     char name[size];
#define WW_ENUM(name, choices, sample, doc)  enum ww_hook_##choices name;
#define WW_VALUE(name, doc)                  struct ww_hook_value name;
#define WW_INNER(name, type, doc)            struct ww_hook_##type name;
#define WW_LIST(name, type, max, doc)        uint32_t name##_count; struct ww_hook_##type name[max];
#define WW_ORDER(name, list, key, max, doc)  uint32_t name##_count; uint32_t name[max];
#define WW_STRUCT_END(name)                  };
#include "ww/hooks.def"

enum ww_hook {
#define WW_HOOK(name, file, function, side, budget, input, result, decides, fallback) WW_HOOK_##name,
#include "ww/hooks.def"
    WW_HOOK_COUNT
};

/* Who calls a hook. */
enum ww_hook_where {
    WW_HOOK_SIDE_ARBITER,
    WW_HOOK_SIDE_PROVIDER,
    WW_HOOK_SIDE_CLIENT,
    WW_HOOK_SIDE_EDGE, /* provider and client */
};

/* Large enough for any hook's input or result. */
union ww_hook_any {
    char bytes[1];
#define WW_HOOK(name, file, function, side, budget, input, result, decides, fallback) \
    struct ww_hook_##input name##_input; \
    struct ww_hook_##result name##_result;
#include "ww/hooks.def"
};
