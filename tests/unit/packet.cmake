ww_unit_test(packet_flows SOURCES packet_flows_test.c ROOMS packet)
ww_unit_test(packet_ip SOURCES packet_ip_test.c ROOMS packet)
ww_unit_test(packet_parse SOURCES packet_parse_test.c ROOMS packet)
ww_unit_test(packet_proxy SOURCES packet_proxy_test.c packet_net.c ROOMS packet)
ww_unit_test(packet_proxy_udp SOURCES packet_proxy_udp_test.c packet_net.c ROOMS packet)
ww_unit_test(packet_egress SOURCES packet_egress_test.c packet_net.c ROOMS packet)
ww_unit_test(packet_race SOURCES packet_race_test.c packet_net.c ROOMS packet)
ww_unit_test(packet_flow SOURCES packet_flow_test.c packet_net.c ROOMS packet)
ww_unit_test(packet_inspect SOURCES packet_inspect_test.c packet_hello.c ROOMS packet
             LIBRARIES OpenSSL::SSL OpenSSL::Crypto)
# These look at what the room keeps to itself.
foreach(test packet_inspect packet_parse packet_egress packet_race packet_flow)
  target_include_directories(unit_${test} PRIVATE ${CMAKE_SOURCE_DIR}/engine/packet)
endforeach()
