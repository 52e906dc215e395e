"""Results to a web server: STOW-RS stores them, QIDO-RS lists them (PS3.18 10.5 and 10.6)."""

from dicom_node.deliver.stow.look_up import find_missing_by_web, look_at_service
from dicom_node.deliver.stow.store import RefusedSyntaxes, store_files
from dicom_node.deliver.stow.web_call import WebCall

__all__ = ["RefusedSyntaxes", "WebCall", "find_missing_by_web", "look_at_service", "store_files"]
