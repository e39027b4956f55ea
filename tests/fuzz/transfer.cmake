ww_fuzz_target(transfer SOURCES transfer_fuzz.c ROOMS transfer)
