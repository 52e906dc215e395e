"""What is trained on: cases, folds, slices, and the recipes that say how they are prepared."""
