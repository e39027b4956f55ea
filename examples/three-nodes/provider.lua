-- The provider: lets clients' traffic out to the internet, and is paid for it. The arbiter is the
-- one that `ww join` remembered.
return {
    name = "sunny",
    max_contracts = 64,
    ports = { min = 49152, max = 49279 }, -- UDP, for the firewall: two for each client
    -- stun = "stun.example.net:3478",     -- behind NAT: tells the node its public address
}
