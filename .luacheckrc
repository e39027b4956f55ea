-- Globals that each kind of Lua in this tree may use; anything else is a mistake.
std = "luajit"
max_line_length = 100
cache = false

-- What the policy VM has (engine/policy/sandbox.c, lua/policy/prelude.lua), and nothing more.
stds.policy = {
    read_globals = {
        "assert", "error", "ipairs", "pairs", "select", "tonumber", "tostring", "type", "unpack",
        "builtin", "KiB", "MiB", "GiB", "TiB",
        math = { fields = { "abs", "ceil", "floor", "fmod", "huge", "max", "min", "sqrt" } },
        string = {
            fields = {
                "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep",
                "reverse", "sub", "upper",
            },
        },
        table = { fields = { "concat", "insert", "remove", "sort" } },
    },
}
-- What a policy's test file has besides (lua/testkit/testkit.lua).
stds.policy_test = { read_globals = { "test", "try", "same" } }

-- The trusted tier: LuaJIT, and the engine's bindings (engine/ops).
local trusted = { "lua/arbiter", "lua/demo", "lua/node", "lua/ops", "tests/lua",
    "tests/system/lua", "tests/bench/contract/lua" }
for _, folder in ipairs(trusted) do
    files[folder] = { read_globals = { "ww" } }
end
files["tests/unit"] = { globals = { "ww" } } -- tests stand in for parts of it
files["policies"] = { std = "policy" }
files["examples/policies"] = { std = "policy" }
files["examples/policies/**/*.test.lua"] = { std = "policy+policy_test" }
files["tests/system/policies"] = { std = "policy" }
files["policies/**/*.test.lua"] = { std = "policy+policy_test" }
files["lua/policy"] = { std = "policy" }
files["lua/testkit"] = { std = "policy" }
files["lua/meta"] = { ignore = { "111", "212", "631" } } -- declarations for editors, never run
exclude_files = { "build/**", "tests/fuzz/corpus/**", "lua/vendor/**" }
