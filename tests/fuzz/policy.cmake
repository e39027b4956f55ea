ww_fuzz_target(policy_load SOURCES policy_load_fuzz.c ROOMS policy)
ww_fuzz_target(policy_pattern SOURCES policy_pattern_fuzz.c ROOMS policy)
ww_fuzz_target(policy_input SOURCES policy_input_fuzz.c ROOMS policy)
ww_fuzz_target(policy_memory SOURCES policy_memory_fuzz.c ROOMS policy)
