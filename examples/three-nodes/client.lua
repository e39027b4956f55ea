-- The client: a local proxy whose traffic leaves through a provider. The arbiter is the one that
-- `ww join` remembered.
return {
    proxy = "127.0.0.1:1080", -- SOCKS5 and HTTP CONNECT
    -- stun = "stun.example.net:3478", -- behind NAT: tells the node its public address
}
