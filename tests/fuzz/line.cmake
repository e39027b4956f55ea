ww_fuzz_target(line_keys SOURCES line_keys_fuzz.c ROOMS line base)
target_include_directories(fuzz_line_keys PRIVATE ${CMAKE_SOURCE_DIR}/engine/line)
