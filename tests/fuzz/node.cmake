# The tunnel's two ends as a whole. What is wrapped is not there: the device, the host, Lua, the policy's VM
# and another thread.
set(rooms node ops policy net packet transfer wire crypto store loop base)
set(wrapped_client client_declare)
set(wrapped_provider ww_tun_create ww_exit_device_up ww_exit_uplinks_read ww_exit_forward_on ww_exit_forward_undo
                     ww_exit_nft_open ww_exit_nft_close ww_exit_conntrack_open ww_exit_conntrack_close
                     ww_exit_conntrack_forget ww_call_text)
foreach(end client provider)
  ww_fuzz_target(node_${end} SOURCES node_${end}_fuzz.c node_packets.c node_rig.c ROOMS ${rooms})
  target_include_directories(fuzz_node_${end} PRIVATE ${CMAKE_SOURCE_DIR}/engine/node
                                                      ${CMAKE_SOURCE_DIR}/engine/packet)
  foreach(function ${wrapped_${end}} node_decide edge_tell)
    target_link_options(fuzz_node_${end} PRIVATE -Wl,--wrap=${function})
  endforeach()
endforeach()
