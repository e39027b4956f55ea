foreach(part operation request commit memory corrupt epoch forget tail backup)
  ww_unit_test(ledger_${part} SOURCES ledger_${part}_test.c ledger_rig.c
               ROOMS ledger store loop crypto base)
endforeach()
# 100,000 steps, each with every invariant; twenty kills of a child.
foreach(part model crash)
  ww_unit_test(ledger_${part} SOURCES ledger_${part}_test.c ledger_rig.c
               ROOMS ledger store loop crypto base TIMEOUT 240)
endforeach()
