--- `ww arbiter`: see ops.node_command.
return require("ops.node_command").command("arbiter")
