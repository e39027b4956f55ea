# ww_room(NAME [HEADERS h...] SOURCES s... [USES room...] [LIBRARIES target...])
#
# A room is a static library whose include path is its own folder and a generated folder that
# holds forwarding headers for its own interface and for those of the rooms it may use (and the
# rooms those use). An include that points upward, or sideways, is therefore a missing file.
# HEADERS are names below include/ww/; a room without HEADERS has none (node).
define_property(TARGET PROPERTY WW_HEADERS)
define_property(TARGET PROPERTY WW_LEVEL)

set(WW_LEVEL_0 base)
set(WW_LEVEL_1 loop store crypto wire)
set(WW_LEVEL_2 line ledger policy net http packet)
set(WW_LEVEL_3 transfer contract relay)
set(WW_LEVEL_4 ops)
set(WW_LEVEL_5 node)
# The one look sideways: store's committer delivers its callbacks by loop's mailbox.
set(WW_SIDEWAYS_store loop)

function(ww_room_level name out)
  foreach(level RANGE 5)
    if(name IN_LIST WW_LEVEL_${level})
      set(${out} ${level} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "room ${name} has no level in WwRooms.cmake")
endfunction()

function(ww_room name)
  cmake_parse_arguments(ROOM "" "" "HEADERS;SOURCES;USES;LIBRARIES" ${ARGN})
  ww_room_level(${name} level)
  set(visible ${ROOM_HEADERS})
  foreach(used IN LISTS ROOM_USES)
    ww_room_level(${used} used_level)
    if(NOT used_level LESS level AND NOT used IN_LIST WW_SIDEWAYS_${name})
      message(FATAL_ERROR "room ${name} (level ${level}) may not use ${used} (level ${used_level})")
    endif()
    set(used_headers "")
    if(TARGET ww_${used}) # else the link says what is missing
      get_target_property(used_headers ww_${used} WW_HEADERS)
    endif()
    if(used_headers)
      list(APPEND visible ${used_headers})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES visible)

  set(gate ${CMAKE_BINARY_DIR}/rooms/${name})
  file(GLOB stale RELATIVE ${gate}/ww ${gate}/ww/*)
  list(REMOVE_ITEM stale ${visible})
  foreach(header IN LISTS stale)
    file(REMOVE ${gate}/ww/${header})
  endforeach()
  foreach(header IN LISTS visible)
    file(CONFIGURE OUTPUT ${gate}/ww/${header}
         CONTENT "#include \"${CMAKE_SOURCE_DIR}/include/ww/${header}\"\n" @ONLY)
  endforeach()

  add_library(ww_${name} STATIC ${ROOM_SOURCES})
  set_target_properties(ww_${name} PROPERTIES WW_HEADERS "${visible}")
  target_include_directories(ww_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${gate})
  list(TRANSFORM ROOM_USES PREPEND ww_)
  target_link_libraries(ww_${name} PUBLIC ${ROOM_USES} PRIVATE ww_flags ${ROOM_LIBRARIES})
endfunction()
