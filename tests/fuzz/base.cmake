ww_fuzz_target(base_text SOURCES base_text_fuzz.c ROOMS base)
