# These reach into the room, below its interface.
foreach(name request ws)
  ww_fuzz_target(http_${name} SOURCES http_${name}_fuzz.c http_peer.c ROOMS http loop base
    LIBRARIES PkgConfig::LIBEVENT OpenSSL::SSL)
endforeach()
ww_fuzz_target(http_response SOURCES http_response_fuzz.c ROOMS http loop base
  LIBRARIES PkgConfig::LIBEVENT OpenSSL::SSL)
foreach(name request ws response)
  target_include_directories(fuzz_http_${name} PRIVATE ${CMAKE_SOURCE_DIR}/engine/http)
endforeach()
