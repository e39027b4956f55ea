ww_unit_test(line_keys SOURCES line_keys_test.c ROOMS line base)
target_include_directories(unit_line_keys PRIVATE ${CMAKE_SOURCE_DIR}/engine/line)
