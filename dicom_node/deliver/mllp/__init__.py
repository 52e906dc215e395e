"""Reports to HL7 v2 receivers: MLLP carries them, an acknowledgment answers them."""

from dicom_node.deliver.mllp.send import MllpCall, look_at_receiver, send_message

__all__ = ["MllpCall", "look_at_receiver", "send_message"]
