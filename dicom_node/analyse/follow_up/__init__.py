"""Which earlier result of the same patient a new one is compared with."""
