"""The DICOM upper layer and the few DIMSE messages that the node speaks, for both sides of an association.

Standard library only: the receiver loads it.
"""
