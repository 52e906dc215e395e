"""Sending DICOM objects to a peer (storage and verification SCU)."""

from dicom_node.deliver.send.scu import SendOutcome, echo, rejected_classes, send_files
from dicom_node.deliver.send.statuses import StoreStatus, store_status_of

__all__ = ["SendOutcome", "StoreStatus", "echo", "rejected_classes", "send_files", "store_status_of"]
