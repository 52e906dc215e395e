"""The command `wmh-node`: one file per command or group of commands."""
