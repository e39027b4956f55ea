ww_unit_test(policy_default SOURCES policy_default_test.c ROOMS policy)
ww_unit_test(policy_fault SOURCES policy_fault_test.c ROOMS policy)
ww_unit_test(policy_sandbox SOURCES policy_sandbox_test.c ROOMS policy)
ww_unit_test(policy_pattern SOURCES policy_pattern_test.c ROOMS policy LIBRARIES PkgConfig::LUAJIT)
ww_unit_test(policy_hidden SOURCES policy_hidden_test.c ROOMS policy)
target_include_directories(unit_policy_hidden PRIVATE ${CMAKE_SOURCE_DIR}/engine/policy)
ww_unit_test(policy_later SOURCES policy_later_test.c ROOMS policy)
ww_unit_test(policy_journal SOURCES policy_journal_test.c ROOMS policy)
ww_unit_test(policy_replay SOURCES policy_replay_test.c ROOMS policy)
ww_unit_test(policy_cover SOURCES policy_cover_test.c ROOMS policy)
ww_unit_test(policy_memory SOURCES policy_memory_test.c ROOMS policy LIBRARIES PkgConfig::LUAJIT)
target_include_directories(unit_policy_memory PRIVATE ${CMAKE_SOURCE_DIR}/engine/policy)
ww_unit_test(policy_why SOURCES policy_why_test.c ROOMS policy)
ww_unit_test(policy_live SOURCES policy_live_test.c ROOMS policy)
ww_unit_test(policy_check SOURCES policy_check_test.c ROOMS policy)
ww_unit_test(policy_exact SOURCES policy_exact_test.c ROOMS policy)
ww_unit_test(policy_builtin SOURCES policy_builtin_test.c ROOMS policy crypto LIBRARIES ww_scripts)
ww_unit_test(policy_set SOURCES policy_set_test.c ROOMS policy)
ww_unit_test(policy_source SOURCES policy_source_test.c ROOMS policy)
ww_unit_test(policy_reference SOURCES policy_reference_test.c ROOMS policy)
target_compile_definitions(unit_policy_reference PRIVATE
  WW_HOOKS_PAGE="${CMAKE_SOURCE_DIR}/docs/policies/hooks.md"
  WW_HOOKS_MAN="${CMAKE_SOURCE_DIR}/docs/man/ww-policy.7"
  WW_HOOKS_STUBS="${CMAKE_SOURCE_DIR}/lua/meta/policy.lua")
target_include_directories(unit_policy_pattern PRIVATE ${CMAKE_SOURCE_DIR}/engine/policy)

ww_unit_test(policy_golden SOURCES policy_golden_test.c ROOMS policy)
target_compile_definitions(unit_policy_golden PRIVATE
  WW_GOLDEN_FILE="${CMAKE_SOURCE_DIR}/tests/golden/policy/decisions.txt")

ww_unit_test(policy_hostile SOURCES policy_hostile_test.c ROOMS policy)
target_compile_definitions(unit_policy_hostile PRIVATE
  WW_HOSTILE_FILE="${CMAKE_SOURCE_DIR}/tests/policy/hostile.txt")
