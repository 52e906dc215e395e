"""The exceptions of `segmentation`, one tree.

SegmentationError
├── BadVolume        an array or spacing that is not a FLAIR volume
├── BadBundle        a model bundle that is damaged, foreign or of another version
└── RuntimeUnavailable   the requested runtime cannot run on this machine
"""

from __future__ import annotations


class SegmentationError(Exception):
    """Root of everything that `segmentation` raises on purpose."""


class BadVolume(SegmentationError):
    """An array or spacing that is not a FLAIR volume."""


class BadBundle(SegmentationError):
    """A model bundle that is damaged, foreign or of another version."""


class RuntimeUnavailable(SegmentationError):
    """The requested runtime cannot run on this machine."""
