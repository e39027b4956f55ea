ww_unit_test(loop SOURCES loop_test.c ROOMS loop LIBRARIES Threads::Threads)
ww_unit_test(loop_pool SOURCES loop_pool_test.c ROOMS loop LIBRARIES Threads::Threads)
ww_unit_test(loop_stream SOURCES loop_stream_test.c ROOMS loop)
ww_unit_test(loop_listener SOURCES loop_listener_test.c ROOMS loop)
