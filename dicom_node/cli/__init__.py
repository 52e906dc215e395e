"""The `wmh-node` command line."""
