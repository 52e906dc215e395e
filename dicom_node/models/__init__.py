"""Models for an administrator: kept by digest, checked before they are live, chosen, and served."""
