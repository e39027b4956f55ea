--- The market is run as the default set does.
return builtin("market")
