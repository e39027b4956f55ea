ww_fuzz_target(net_signal SOURCES net_signal_fuzz.c ROOMS net)
ww_fuzz_target(net_sdp SOURCES net_sdp_fuzz.c ROOMS net)
ww_fuzz_target(net_fast SOURCES net_fast_fuzz.c ROOMS net)
target_include_directories(fuzz_net_fast PRIVATE ${CMAKE_SOURCE_DIR}/engine/net)
