# The room has no interface of its own: its tests look inside.
ww_unit_test(node_load SOURCES node_load_test.c ROOMS node http crypto loop base)
target_include_directories(unit_node_load PRIVATE ${CMAKE_SOURCE_DIR}/engine/node)
