"""Which series is a brain FLAIR, and is it complete: decided from headers alone."""
