"""Is a result set right? Asked before anything of it is written to the outbox."""
