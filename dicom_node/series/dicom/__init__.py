"""DICOM files, headers, frames and pixels: everything that a vendor does differently, or that a file gets wrong."""
