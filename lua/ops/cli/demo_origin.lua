--- `ww demo-origin`: the HTTP origin of `ww demo`, as a process of its own, until it is stopped.
local async = require("ops.async")

return {
    name = "demo-origin", summary = "Run the HTTP origin that `ww demo` uses.",
    hidden = true, long = true,
    define = function(command)
        command:option("--listen"):argname("ADDRESS"):default("127.0.0.1:0")
            :description("Where to listen; port 0 takes any that is free.")
        command:option("--announce"):argname("FILE"):description("Where to write the port.")
    end,
    run = function(args)
        ww.process.set_limits()
        local origin, err = ww.load.origin({ listen = args.listen })
        if not origin then
            return nil, err
        end
        if args.announce then
            local ok
            ok, err = ww.fs.write(args.announce, ("%d\n"):format(origin.port))
            if not ok then
                return nil, err
            end
        end
        return async.await(function(done)
            ww.loop.on_signal("TERM", function()
                done(0)
            end)
            ww.loop.on_signal("INT", function()
                done(0)
            end)
        end)
    end,
}
