"""Messages to people about the node: by mail and to a webhook."""
