ww_unit_test(packet_address SOURCES packet_address_test.c ROOMS packet)
ww_unit_test(packet_address_lines SOURCES packet_address_lines_test.c ROOMS packet)
ww_unit_test(packet_address_routes SOURCES packet_address_routes_test.c ROOMS packet)
ww_unit_test(packet_ip SOURCES packet_ip_test.c ROOMS packet)
ww_unit_test(packet_parse SOURCES packet_parse_test.c ROOMS packet)
ww_unit_test(packet_proxy SOURCES packet_proxy_test.c packet_net.c ROOMS packet)
ww_unit_test(packet_proxy_udp SOURCES packet_proxy_udp_test.c packet_net.c ROOMS packet)
ww_unit_test(packet_egress SOURCES packet_egress_test.c packet_net.c ROOMS packet)
ww_unit_test(packet_race SOURCES packet_race_test.c packet_net.c ROOMS packet)
ww_unit_test(packet_flow SOURCES packet_flow_test.c packet_net.c ROOMS packet)
# All addresses: address.c is compiled once more for it, fast and without sanitizers.
ww_unit_test(packet_address_all SOURCES packet_address_all_test.c
             ${CMAKE_SOURCE_DIR}/engine/packet/address.c ROOMS packet LIBRARIES Threads::Threads)
set_source_files_properties(packet_address_all_test.c ${CMAKE_SOURCE_DIR}/engine/packet/address.c
  PROPERTIES COMPILE_OPTIONS "-O2;-fno-sanitize=all") # behind the target's own, so they win
# These look at what the room keeps to itself.
foreach(test packet_address packet_address_all packet_address_routes packet_parse packet_egress packet_race packet_flow)
  target_include_directories(unit_${test} PRIVATE ${CMAKE_SOURCE_DIR}/engine/packet)
endforeach()
