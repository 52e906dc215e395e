"""What every role needs: settings, errors, logs, files, the outbox, TLS, UIDs, confined children."""
