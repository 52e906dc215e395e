"""Segmentation objects: WMH, its regions, and the probability map."""
