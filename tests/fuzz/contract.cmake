ww_fuzz_target(contract_record SOURCES contract_record_fuzz.c ROOMS contract)
