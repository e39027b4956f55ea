-- The arbiter: keeps the books and introduces the others. Everything not said here has a default;
-- `ww help config-reference` lists it.
return {
    listen = { "0.0.0.0:8443" },
    -- How others reach it: part of the join line, and a name in its certificate. Put yours here.
    url = "https://11.0.1.2:8443",
    hosts = { "11.0.1.2" },
    market = {
        price_nano_usd_per_gib = "100000000", -- 10 cents a GiB
        rates = { usd = "1000000000", xch = "100000000000", sol = "5000000" },
    },
}
