foreach(part token frames proof close dcep)
  ww_unit_test(wire_${part} SOURCES wire_${part}_test.c wire_random.c ROOMS wire)
endforeach()
ww_unit_test(wire_golden SOURCES wire_golden_test.c wire_random.c ROOMS wire)
target_compile_definitions(unit_wire_golden PRIVATE
  WW_GOLDEN_FOLDER="${CMAKE_SOURCE_DIR}/tests/golden/wire"
  WW_WIRE_PAGE="${CMAKE_SOURCE_DIR}/docs/internals/wire.md")
