"""A synthetic head in FLAIR contrast with white matter hyperintensities of known volume."""
