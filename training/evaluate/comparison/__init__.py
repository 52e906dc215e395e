"""Several models on the same cases: paired tests, and what each part of the ensemble buys."""
