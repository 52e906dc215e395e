"""From a claimed job to a result set in the outbox."""
