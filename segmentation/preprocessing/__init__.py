"""From native FLAIR slices to the networks' input, and from their output back to the native grid."""
