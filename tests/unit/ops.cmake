foreach(name call control vm)
  ww_unit_test(ops_${name} SOURCES ops_${name}_test.c ROOMS ops ledger crypto loop base)
endforeach()
