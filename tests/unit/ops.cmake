foreach(name call control vm)
  ww_unit_test(ops_${name} SOURCES ops_${name}_test.c ROOMS ops ledger crypto loop base)
endforeach()
ww_unit_test(ops_reader SOURCES ops_reader_test.c ROOMS ops ledger store crypto loop base)
