--- `ww repl`: looks into a running node, and changes it.
local control = require("ops.control")
local run = require("ops.repl.run")

local ROLES = {}
for _, role in ipairs(control.ROLES) do
    ROLES[role] = true
end

--- The control socket that NODE and the options mean.
local function place_of(args)
    local node = args.node
    if node and not ROLES[node] then
        if ww.fs.is_dir(node) then
            return node .. "/control.sock"
        end
        return node
    end
    if args.config and not args.control and not args.state then
        return control.place_of_file(args.config)
    end
    return control.find(args, node)
end

local function read_file(path)
    if path == "-" then
        return io.read("*a")
    end
    return ww.fs.read(path)
end

--- What the options say to do, in order: {source, is_file}.
local function work_of(args)
    local work = {}
    for _, source in ipairs(args.expression) do
        work[#work + 1] = { source = source }
    end
    if args.file then
        local source, err = read_file(args.file)
        if not source then
            return nil, err
        end
        work[#work + 1] = { source = (source:gsub("^#![^\n]*", "")), is_file = true }
    end
    return work
end

local function session(args, out)
    local work, err = work_of(args)
    if not work then
        return nil, err
    end
    local path
    path, err = place_of(args)
    if not path then
        return nil, err
    end
    return run.main(path, work, args, out)
end

return {
    name = "repl", order = 31, long = true,
    summary = "Look into a running node, and change it: Lua, with names for what it has.",
    define = function(command)
        command:argument("node"):argname("NODE"):args("?")
            :description("arbiter, provider or client; or a state folder, or a control socket.")
        command:option("-e --expression"):argname("EXPR"):count("*"):target("expression")
            :description("Evaluate this, print it and end. May be repeated.")
        command:option("-f --file"):argname("FILE")
            :description("Run a file (- is stdin) and end.")
        command:option("--write"):argname("REASON")
            :description("Allow changes; the reason stands in the node's log.")
        command:option("--control"):argname("PATH")
            :description("The node's control socket (WW_CONTROL).")
        command:option("--state"):argname("DIR"):description("The node's state folder.")
        command:option("-c --config"):argname("FILE")
            :description("The node's configuration file.")
        command:epilog([[
Examples:
  ww repl                                   a session, with the node that runs here
  ww repl provider -e 'node.status().ready'
  ww repl arbiter --json -e 'wallets.list{network = "alicenet"}'
  ww repl --write "too noisy" -e 'log.set("warn")'

Exit codes: 0 done, 1 an expression failed, 2 wrong usage, 69 no node is there, 75 the node has no
time, 130 interrupted. docs/reference/repl.md lists all names; so does help().]])
    end,
    run = function(args, out)
        local fine, code, err = xpcall(session, debug.traceback, args, out)
        if not fine then
            ww.log("error", "ops", "the command failed", "why=" .. ww.quote(tostring(code)))
            return 70
        end
        return code, err
    end,
}
