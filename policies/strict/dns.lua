--- Names are looked up as the default set does.
return builtin("dns")
