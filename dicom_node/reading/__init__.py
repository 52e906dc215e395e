"""From DICOM files to one regular FLAIR volume, or a typed refusal."""
