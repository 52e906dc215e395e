"""DICOM node: receiving, selecting, reading, SEG and SR, delivering; CLI and wiring."""
