"""A copy of everything that a node needs, checked, and a node made from it."""
