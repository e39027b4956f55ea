set(transfer_sim transfer_sim.c transfer_sim_time.c transfer_sim_receipt.c)
foreach(part stream packet contract end hostile charge receipt declaration)
  ww_unit_test(transfer_${part} SOURCES transfer_${part}_test.c ${transfer_sim} ROOMS transfer TIMEOUT 180)
endforeach()
# 2,500 seeds: some 3 s, several times that under sanitizers on a busy machine.
ww_unit_test(transfer_random SOURCES transfer_random_test.c ${transfer_sim} ROOMS transfer TIMEOUT 300)
