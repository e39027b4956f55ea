--- Paths are chosen as the default set does.
return builtin("path")
