--- Flows are let through as the default set does.
return builtin("flow")
