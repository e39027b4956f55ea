# `cmake --install`: the program (its Lua and policies are inside it), man pages, completions.
