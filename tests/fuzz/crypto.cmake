ww_fuzz_target(crypto_key SOURCES crypto_key_fuzz.c ROOMS crypto)
