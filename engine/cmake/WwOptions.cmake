# Build options and the warnings that every room is compiled with.
set(WW_SANITIZE "" CACHE STRING "Sanitizers to build with, as for -fsanitize=")
option(WW_FUZZ "Build the fuzz targets with libFuzzer (clang)" OFF)
option(WW_COVERAGE "Instrument for gcov" OFF)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON) # unsigned __int128, statement attributes
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(ww_flags INTERFACE)
target_compile_definitions(ww_flags INTERFACE _GNU_SOURCE)
target_compile_options(ww_flags INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wwrite-strings -Wvla -Wformat=2 -Wundef
  -Wcast-qual -Wswitch-enum
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition>
  -fno-strict-aliasing -fstack-protector-strong -fno-omit-frame-pointer)
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_definitions(ww_flags INTERFACE _FORTIFY_SOURCE=2)
endif()
if(WW_SANITIZE)
  # -O1, as AddressSanitizer's documentation has it: half the time of the tests' own computing.
  target_compile_options(ww_flags INTERFACE -O1 -fsanitize=${WW_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(ww_flags INTERFACE -fsanitize=${WW_SANITIZE})
  # Some 200 tests are linked: a fifth of the build's time with bfd.
  find_program(WW_GOLD ld.gold)
  if(WW_GOLD AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_link_options(ww_flags INTERFACE -fuse-ld=gold)
  endif()
endif()
if(WW_FUZZ)
  target_compile_options(ww_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(WW_COVERAGE)
  target_compile_options(ww_flags INTERFACE --coverage)
  target_link_options(ww_flags INTERFACE --coverage)
endif()
