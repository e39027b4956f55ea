--- `ww key new|show|check`: this node's private key.
local member = require("ops.member")

--- What is public about a key.
local function shown(key, path)
    return { node = key:node_id(), public_key = key:public_key(), file = path }
end

local VERBS = {
    new = function(args)
        local path = member.key_path(args)
        local key, err = ww.crypto.key_generate(path)
        if not key then
            if err.code == "EEXIST" then
                err.what, err.reason = "There is a key at " .. path, nil
                err.fix = "Use it (ww key show), or name another file: --key PATH"
            end
            return nil, err
        end
        return shown(key, path)
    end,
    show = function(args)
        local key, err = member.key(args)
        if not key then
            return nil, err
        end
        return shown(key, member.key_path(args))
    end,
}

--- As `show`, and proves that the key signs what its public half verifies.
function VERBS.check(args)
    local data, err = VERBS.show(args)
    if not data then
        return nil, err
    end
    local key = member.key(args)
    local message = ww.crypto.random(32)
    local signature = key and key:sign("ww key check", message)
    local node = signature and ww.crypto.verify(data.public_key, "ww key check", message, signature)
    if node ~= data.node then
        return nil, ww.error("EKEYFILE", "its signatures do not verify")
    end
    data.ok = true
    return data
end

return {
    name = "key", order = 30, summary = "Make, show or check this node's key.",
    define = function(command)
        command:command_target("verb")
        command:epilog([[
The key is ECDSA P-256, in a PEM file that only its owner may read. Its public half names the node.
Examples:
  ww key new
  ww key check --key /var/lib/ww/key]])
        local help = {
            new = "Make a key. A file that is there is never replaced.",
            show = "Print the node's id and public key.",
            check = "Check the file, its permissions, and that the key works.",
        }
        for _, verb in ipairs({ "new", "show", "check" }) do
            local sub = command:command(verb):summary(help[verb]):description(help[verb])
            member.define(sub, false)
        end
    end,
    run = function(args)
        return VERBS[args.verb](args)
    end,
    human = function(data, args, out)
        if args.verb == "check" then
            out:print(data.file .. ": ok")
            out:print(data.node)
        elseif args.verb == "new" then
            out:note("The key is in " .. data.file .. "; keep a copy: nobody can replace it.")
            out:print(data.node)
        else
            out:print("node        " .. data.node)
            out:print("public key  " .. data.public_key)
            out:print("file        " .. data.file)
        end
    end,
}
