"""Data sets, fitting and evaluation of the networks in `segmentation`."""
