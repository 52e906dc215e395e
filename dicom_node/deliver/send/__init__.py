"""Sending DICOM objects to a peer (storage and verification SCU)."""

from dicom_node.deliver.send.scu import SendOutcome, echo, rejected_classes, send_files
from dicom_node.deliver.send.statuses import Answer, answer_of

__all__ = ["Answer", "SendOutcome", "answer_of", "echo", "rejected_classes", "send_files"]
