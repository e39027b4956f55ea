foreach(part stream contract hostile random)
  ww_unit_test(transfer_${part} SOURCES transfer_${part}_test.c transfer_sim.c ROOMS transfer)
endforeach()
