"""One command that keeps every role running, and the wiring of the roles."""
