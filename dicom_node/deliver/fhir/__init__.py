"""Reports to FHIR R4 servers: one transaction each."""

from dicom_node.deliver.fhir.post import look_at_fhir, post_bundles

__all__ = ["look_at_fhir", "post_bundles"]
