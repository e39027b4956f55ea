foreach(part ban dispute lifecycle record market whatif)
  ww_unit_test(contract_${part} SOURCES contract_${part}_test.c ROOMS contract)
endforeach()
