--- `ww address`: what the address rules say about addresses, a line each.
return {
    name = "address", order = 35, summary = "Say which addresses a provider carries traffic to.",
    long = true,
    define = function(command)
        command:argument("address"):args("+")
            :description("IPv4 or IPv6 addresses; - reads one a line from stdin.")
        command:flag("--local"):target("is_local")
            :description("Deny this host's own addresses, networks and gateways too.")
        command:epilog([[
Prints one line for each address, in order: ADDRESS allow|deny RULE. Text that is no address is
"deny invalid". With --json each line is an object. The exit code says only whether all were judged.
The list is the fixed one, that both sides of a contract go by: docs/reference/destinations.md.
Examples:
  ww address 192.0.2.1 2606:4700:4700::1111
  ww address --local - < addresses.txt]])
    end,
    run = function(args, out)
        local done, err = ww.net.judge({
            texts = args.address, is_local = args.is_local or false, json = out.json,
        })
        if not done then
            return nil, err
        end
        return 0
    end,
}
