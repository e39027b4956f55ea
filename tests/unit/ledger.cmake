foreach(part operation request commit memory corrupt epoch forget tail backup example)
  ww_unit_test(ledger_${part} SOURCES ledger_${part}_test.c ledger_rig.c
               ROOMS ledger store loop crypto base TIMEOUT 180)
endforeach()
# It counts what a turn of the loop takes: what a sanitizer holds back and frees at once, 20 ms each
# time, is not the program's.
set_tests_properties(unit.ledger_epoch PROPERTIES ENVIRONMENT "ASAN_OPTIONS=quarantine_size_mb=1")
target_compile_definitions(unit_ledger_example PRIVATE
  WW_LEDGER_PAGE="${CMAKE_SOURCE_DIR}/docs/concepts/ledger.md")
# 100,000 steps, each with every invariant; twenty kills of a child.
foreach(part model crash)
  ww_unit_test(ledger_${part} SOURCES ledger_${part}_test.c ledger_rig.c
               ROOMS ledger store loop crypto base TIMEOUT 240)
endforeach()
