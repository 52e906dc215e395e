"""The page: what an administrator and a radiologist open in the morning. Reads `db`, and calls its transitions."""
