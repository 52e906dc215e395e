"""Corrections from radiologists: a segmentation that comes back is matched, checked, compared and exported."""
