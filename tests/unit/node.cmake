# The room has no interface of its own: its tests look inside.
ww_unit_test(node_load SOURCES node_load_test.c ROOMS node http crypto loop base)
target_include_directories(unit_node_load PRIVATE ${CMAKE_SOURCE_DIR}/engine/node)

ww_unit_test(node_arbiter SOURCES node_arbiter_test.c
             ROOMS node ops ledger policy contract wire crypto store loop base TIMEOUT 180)
target_include_directories(unit_node_arbiter PRIVATE ${CMAKE_SOURCE_DIR}/engine/node)
target_compile_definitions(unit_node_arbiter
                           PRIVATE WW_TEST_FOLDER="${CMAKE_CURRENT_SOURCE_DIR}")
add_test(NAME unit.node_arbiter_disk_gone COMMAND unit_node_arbiter disk gone)
set_tests_properties(unit.node_arbiter_disk_gone PROPERTIES LABELS unit TIMEOUT 60)
foreach(part close court disk liars policy reload)
  add_test(NAME unit.node_arbiter_${part} COMMAND unit_node_arbiter ${part})
  set_tests_properties(unit.node_arbiter_${part} PROPERTIES LABELS unit TIMEOUT 120)
endforeach()
# Its memory must be flat: what a sanitizer holds back is not the program's. It computes for most of a minute.
set_tests_properties(unit.node_arbiter_reload PROPERTIES TIMEOUT 300 ENVIRONMENT "ASAN_OPTIONS=quarantine_size_mb=1")

foreach(part open secret pair packets tunnel)
  ww_unit_test(node_${part} SOURCES node_${part}_test.c
               ROOMS node ops policy net packet transfer wire crypto store loop base)
  target_include_directories(unit_node_${part} PRIVATE ${CMAKE_SOURCE_DIR}/engine/node)
endforeach()

foreach(function conn_packet_send conn_touch client_declare edge_tell)
  target_link_options(unit_node_tunnel PRIVATE -Wl,--wrap=${function}) # there are no peers
endforeach()

ww_unit_test(node_edge SOURCES node_edge_test.c
             ROOMS node ops policy net packet transfer wire crypto store loop base)
target_include_directories(unit_node_edge PRIVATE ${CMAKE_SOURCE_DIR}/engine/node)

ww_unit_test(node_restart SOURCES node_restart_test.c
             ROOMS node ops policy net packet transfer wire crypto store loop base)
target_include_directories(unit_node_restart PRIVATE ${CMAKE_SOURCE_DIR}/engine/node)
target_link_options(unit_node_restart PRIVATE -Wl,--wrap=edge_emit) # there is no Lua to be told

ww_unit_test(node_flows SOURCES node_flows_test.c
             ROOMS node ops policy net packet transfer wire crypto store loop base)
target_include_directories(unit_node_flows PRIVATE ${CMAKE_SOURCE_DIR}/engine/node)

ww_unit_test(node_verdict SOURCES node_verdict_test.c
             ROOMS node ops policy net packet transfer wire crypto store loop base)
target_include_directories(unit_node_verdict PRIVATE ${CMAKE_SOURCE_DIR}/engine/node)

ww_unit_test(node_pipe SOURCES node_pipe_test.c
             ROOMS node ops policy net packet transfer wire crypto store loop base)
target_include_directories(unit_node_pipe PRIVATE ${CMAKE_SOURCE_DIR}/engine/node)
foreach(function ww_transfer_stream_write ww_transfer_stream_consumed)
  target_link_options(unit_node_pipe PRIVATE -Wl,--wrap=${function}) # there is no transfer
endforeach()
