# `cmake --install`: the program (its Lua and policies are inside it), man page, completions, documents.
set(completions ${CMAKE_BINARY_DIR}/completions) # written with ww: see engine/node

install(TARGETS ww RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES docs/man/ww.1 docs/man/ww-repl.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES docs/man/ww-policy.7 DESTINATION ${CMAKE_INSTALL_MANDIR}/man7)
install(FILES ${completions}/ww.bash
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME ww)
install(FILES ${completions}/ww.zsh
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _ww)
install(FILES ${completions}/ww.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d RENAME ww.fish)
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} PATTERN man EXCLUDE)
# To begin one's own set with: what is built in.
install(DIRECTORY lua/meta DESTINATION ${CMAKE_INSTALL_DATADIR}/ww)
install(DIRECTORY policies/default policies/strict policies/generous
  DESTINATION ${CMAKE_INSTALL_DOCDIR}/policies)
install(DIRECTORY examples/policies DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
