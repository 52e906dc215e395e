"""Labelled cases in DICOM (FLAIR series and segmentation objects) turned into case folders that `training` reads."""
