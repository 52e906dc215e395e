"""What a reader sees: Orthanc as the PACS, OHIF on top of it and the node beside it, on one machine."""
