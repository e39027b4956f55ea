foreach(part ban dispute lifecycle record market whatif)
  ww_unit_test(contract_${part} SOURCES contract_${part}_test.c ROOMS contract)
endforeach()
ww_unit_test(contract_account SOURCES contract_account_test.c ledger_rig.c ROOMS contract)
