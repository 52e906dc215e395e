"""Why a channel did not take a message."""

from __future__ import annotations

from dicom_node.node.errors import WmhNodeError


class NotTaken(WmhNodeError):
    """The channel did not take the message; it is tried again. The words say what to do, and hold no secret."""
