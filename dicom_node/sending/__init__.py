"""Sending DICOM objects to a peer (storage SCU)."""

from dicom_node.sending.scu import SendOutcome, send_files

__all__ = ["SendOutcome", "send_files"]
