"""Messages to people about the node: by mail, to a webhook and to a program."""
