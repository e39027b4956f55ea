ww_unit_test(base_amount SOURCES base_amount_test.c ROOMS base)
ww_unit_test(base_buf SOURCES base_buf_test.c ROOMS base)
ww_unit_test(base_text SOURCES base_text_test.c ROOMS base)
ww_unit_test(base_log SOURCES base_log_test.c ROOMS base LIBRARIES ww_scripts)
