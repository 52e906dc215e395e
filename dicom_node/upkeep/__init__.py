"""What keeps a node that runs for years well: room on the disk, messages to people, copies of everything."""
