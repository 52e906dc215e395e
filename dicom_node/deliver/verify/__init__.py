"""Verification of delivery: asking a destination to list what it stored."""
