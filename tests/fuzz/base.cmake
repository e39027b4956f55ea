ww_fuzz_target(base_text SOURCES base_text_fuzz.c ROOMS base)
ww_fuzz_target(base_address SOURCES base_address_fuzz.c ROOMS base)
