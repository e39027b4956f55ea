ww_fuzz_target(net_signal SOURCES net_signal_fuzz.c ROOMS net)
ww_fuzz_target(net_sdp SOURCES net_sdp_fuzz.c ROOMS net)
