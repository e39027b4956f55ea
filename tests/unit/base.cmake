ww_unit_test(base_amount SOURCES base_amount_test.c ROOMS base)
ww_unit_test(base_ecn SOURCES base_ecn_test.c ROOMS base)
ww_unit_test(base_buf SOURCES base_buf_test.c ROOMS base)
ww_unit_test(base_text SOURCES base_text_test.c ROOMS base)
ww_unit_test(base_buffer SOURCES base_buffer_test.c ROOMS base LIBRARIES Threads::Threads)
ww_unit_test(base_log SOURCES base_log_test.c ROOMS base LIBRARIES ww_scripts)
ww_unit_test(base_log_file SOURCES base_log_file_test.c ROOMS base)
ww_unit_test(base_address SOURCES base_address_test.c ROOMS base)
ww_unit_test(base_address_lines SOURCES base_address_lines_test.c ROOMS base)
ww_unit_test(base_address_routes SOURCES base_address_routes_test.c ROOMS base)
# All addresses: address.c is compiled once more for it, fast and without sanitizers.
find_package(Threads REQUIRED)
ww_unit_test(base_address_all SOURCES base_address_all_test.c
             ${CMAKE_SOURCE_DIR}/engine/base/address.c ROOMS base LIBRARIES Threads::Threads TIMEOUT 180)
set_tests_properties(unit.base_address_all PROPERTIES PROCESSORS 2)
set_source_files_properties(base_address_all_test.c ${CMAKE_SOURCE_DIR}/engine/base/address.c
  PROPERTIES COMPILE_OPTIONS "-O2;-fno-sanitize=all") # behind the target's own, so they win
# These look at what the room keeps to itself.
foreach(test base_address base_address_all base_address_routes)
  target_include_directories(unit_${test} PRIVATE ${CMAKE_SOURCE_DIR}/engine/base)
endforeach()
