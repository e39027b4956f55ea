/* docs/man/ww-policy.7, from the descriptions of the hooks. */
#include <stdio.h>
#include <string.h>

#include "fields.h"
#include "ww/buf.h"
#include "ww/policy.h"

#define PATH_SIZE 128

/* As roff: hyphens that are hyphens, and what stands in `` in bold. */
static void put_words(const char *text, struct ww_buf *out)
{
    bool bold = false;

    for (const char *at = text; *at; at++) {
        if (*at == '`') {
            bold = !bold;
            ww_buf_put_text(out, bold ? "\\fB" : "\\fR");
        } else if (*at == '-') {
            ww_buf_put_text(out, "\\-");
        } else if (*at == '\\') {
            ww_buf_put_text(out, "\\e");
        } else {
            ww_buf_printf(out, "%c", *at);
        }
    }
}

static void put_type(const struct ww_policy_field *field, struct ww_buf *out)
{
    switch (field->kind) {
    case WW_FIELD_U64:
        if (field->max == WW_HOOK_NUMBER_MAX)
            ww_buf_printf(out, "from %llu", (unsigned long long)field->min);
        else
            ww_buf_printf(out, "%llu to %llu", (unsigned long long)field->min,
                          (unsigned long long)field->max);
        break;
    case WW_FIELD_BOOL:
        ww_buf_put_text(out, "true or false");
        break;
    case WW_FIELD_TEXT:
        ww_buf_printf(out, "at most %zu bytes", field->size - 1);
        break;
    case WW_FIELD_ENUM:
        for (size_t word = 0; word < field->choices->count; word++)
            ww_buf_printf(out, "%s\\(dq%s\\(dq", word ? ", " : "", field->choices->words[word]);
        break;
    case WW_FIELD_VALUE:
        ww_buf_printf(out, "from 0, or at most %d bytes", WW_HOOK_VALUE_SIZE - 1);
        break;
    case WW_FIELD_ORDER:
        ww_buf_printf(out, "list of %s[].%s", field->list, field->key);
        break;
    case WW_FIELD_INNER:
        break;
    case WW_FIELD_LIST:
        ww_buf_printf(out, "list of at most %llu", (unsigned long long)field->max);
        break;
    }
}

/* Each field by its whole path: "client.strikes", "providers[].node_id". */
static void put_fields(const struct ww_policy_struct *type, const char *before, struct ww_buf *out)
{
    for (size_t index = 0; index < type->field_count; index++) {
        const struct ww_policy_field *field = &type->fields[index];
        char path[PATH_SIZE];

        snprintf(path, sizeof(path), "%s%s%s", before, field->name,
                 field->kind == WW_FIELD_INNER  ? "."
                 : field->kind == WW_FIELD_LIST ? "[]."
                                                : "");
        if (field->kind != WW_FIELD_INNER) {
            ww_buf_printf(out, ".TP\n.B %s%s\n", before, field->name);
            put_words(field->doc, out);
            ww_buf_put_text(out, " (");
            put_type(field, out);
            ww_buf_put_text(out, ")\n");
        }
        if (field->type && strcmp(field->name, "remember") != 0) /* the same everywhere */
            put_fields(field->type(), path, out);
    }
}

static void put_hook(const struct ww_policy_hook *hook, struct ww_buf *out)
{
    static const char *const sides[] = {
        [WW_HOOK_SIDE_ARBITER] = "arbiter",
        [WW_HOOK_SIDE_PROVIDER] = "provider",
        [WW_HOOK_SIDE_CLIENT] = "client",
        [WW_HOOK_SIDE_EDGE] = "provider and the client",
    };

    ww_buf_printf(out, ".SS %s\nDecides ", hook->name);
    put_words(hook->decides, out);
    ww_buf_printf(out,
                  ", on the %s, in\n.IR %s.lua :\n%llu instructions. Without a policy, or when "
                  "it fails: ",
                  sides[hook->side], hook->file, (unsigned long long)hook->budget);
    put_words(hook->fallback, out);
    ww_buf_put_text(out, ".\n.PP\nGiven:\n");
    put_fields(hook->input(), "", out);
    ww_buf_put_text(out, ".PP\nReturns:\n");
    put_fields(hook->result(), "", out);
}

static const char head[] =
    ".TH WW\\-POLICY 7 \"\" \"ww\" \"Policies\"\n"
    ".SH NAME\nww\\-policy \\- rules of a market, written in Lua\n"
    ".SH DESCRIPTION\n"
    "A policy is a Lua file that answers questions of a running\n.BR ww (1)\nnode: who gets a "
    "contract, at what price, which destination is served. Each question is a hook: a function\n"
    "that is given a table, and returns one. A folder of such files, started with\n.B "
    "\\-\\-policies "
    "DIR\nor put in force with\n.BR \"ww policy reload DIR\" ,\nreplaces the built\\-in files of "
    "the "
    "same names; what it lacks stays as it is built in.\n"
    ".PP\n.nf\n"
    "\\-\\- contract.lua: regulars get a tenth off.\n"
    "local M = builtin(\\(dqcontract\\(dq)\n"
    "local offer = M.offer\n\n"
    "function M.offer(request, ctx)\n"
    "    local answer = offer(request, ctx)\n"
    "    if answer.decision == \\(dqaccept\\(dq and request.client.settled_gib >= 100 then\n"
    "        answer.price_ppm = math.min(answer.price_ppm or 1000000, 900000)\n"
    "    end\n"
    "    return answer\n"
    "end\n\n"
    "return M\n.fi\n"
    ".SH FILES OF A SET\n"
    ".TP\n.I NAME.lua\nReturns a table with all hooks of this file.\n"
    ".B builtin(FILE, SET)\nis a fresh table of the built\\-in ones; SET is default, strict or "
    "generous, and may be left out.\n"
    ".TP\n.I NAME.test.lua\nIts tests, run before a node takes the set:\n"
    ".BR \"test(NAME, FUNCTION)\" ,\n.BR \"try(HOOK, INPUT, CTX)\" ,\n.BR \"same(GOT, WANTED)\" .\n"
    ".SH VALUES\n"
    "Numbers are whole. Shares are parts per million: 900000 of 1000000 is 90 %. A result must "
    "have "
    "its\n.B decision\nor\n.BR order ;\neverything else has a default.\n.B ctx.now_s\nis the time, "
    "seconds since 1970;\n.B ctx.random(N)\na number from 1 to N;\n.B ctx.thresholds\nnumbers by "
    "name;\n.B ctx.memory\nwhat this hook's results have told to\n.BR remember :\na list of "
    "{key, value, seconds}.\n"
    ".PP\nThere are\n.BR assert ,\n.BR error ,\n.BR ipairs ,\n.BR pairs ,\n.BR select ,\n.BR "
    "tonumber ,\n.BR tostring ,\n.BR type ,\n.BR unpack ,\n.BR KiB ,\n.BR MiB ,\n.BR GiB ,\n.BR "
    "TiB ,\nand most of\n.BR math ,\n.B string\nand\n.BR table .\nThere are no files, no network, "
    "no "
    "clock, and nothing else is kept between two calls.\n"
    ".SH WHEN A POLICY FAILS\n"
    "While it is loaded: the set is refused, and the one in force stays. In a decision: the hook's "
    "safe\nanswer is given, and the fault is logged with file and line. After 16 faults in 64 "
    "decisions the\ngeneration before comes back. The kinds of fault:\n"
    ".BR syntax ,\n.BR load ,\n.BR missing ,\n.BR runtime ,\n.BR budget ,\n.BR memory ,\n.BR "
    "result "
    ",\n.BR impure ,\n.BR test .\n"
    ".SH COMMANDS\n"
    ".TP\n.B ww policy check DIR\nSays whether a node would take the set, and names every fault.\n"
    ".TP\n.B ww policy try HOOK \\-\\-set DIR \\-\\-input FILE\nAsks one hook.\n"
    ".TP\n.B ww policy reload, rollback, log, diff\nChanges what is in force on a running node.\n"
    ".TP\n.B ww policy shadow, replay, why\nWhat another set would decide or would have decided, "
    "and "
    "why a decision came out as it did.\n"
    ".PP\nAll of them are in\n.BR ww (1).\n"
    ".SH HOOKS\n";

void ww_hook_man_page(struct ww_buf *out)
{
    ww_buf_put_text(out, head);
    for (size_t hook = 0; hook < WW_HOOK_COUNT; hook++)
        put_hook(&ww_policy_hooks[hook], out);
    ww_buf_put_text(out, ".SH SEE ALSO\n.BR ww (1),\n.BR ww\\-repl (1)\n.PP\n"
                         "Recipes and the guide are in the installed documentation,\n.I "
                         "policies/first\\-rule.md\nand\n.IR policies/recipes.md .\n");
}
