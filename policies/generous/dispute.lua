--- Disputes are judged as the default set does.
return builtin("dispute")
