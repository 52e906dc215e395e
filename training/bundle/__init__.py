"""From fitted members to a bundle with its card; the trainings of the shipped bundle."""
