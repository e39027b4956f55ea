foreach(part operation request commit memory corrupt epoch forget tail backup example)
  ww_unit_test(ledger_${part} SOURCES ledger_${part}_test.c ledger_rig.c
               ROOMS ledger store loop crypto base)
endforeach()
target_compile_definitions(unit_ledger_example PRIVATE
  WW_LEDGER_PAGE="${CMAKE_SOURCE_DIR}/docs/concepts/ledger.md")
# 100,000 steps, each with every invariant; twenty kills of a child.
foreach(part model crash)
  ww_unit_test(ledger_${part} SOURCES ledger_${part}_test.c ledger_rig.c
               ROOMS ledger store loop crypto base TIMEOUT 240)
endforeach()
