"""One command that keeps every role running."""
