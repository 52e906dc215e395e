"""Sending DICOM objects to a peer (storage and verification SCU)."""

from dicom_node.sending.scu import SendOutcome, echo, send_files

__all__ = ["SendOutcome", "echo", "send_files"]
