foreach(name hostile server stream ws flood client memory)
  ww_unit_test(http_${name} SOURCES http_${name}_test.c http_fixture.c ROOMS http loop base
    LIBRARIES OpenSSL::SSL OpenSSL::Crypto PkgConfig::LIBEVENT)
endforeach()
