"""From received DICOM files to one FLAIR volume: dicom, geometry, rules, read, complete, each over the one before."""
