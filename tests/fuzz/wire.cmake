foreach(part token frames proof close dcep)
  ww_fuzz_target(wire_${part} SOURCES wire_${part}_fuzz.c ROOMS wire)
endforeach()
