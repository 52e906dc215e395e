"""The runtimes behind one seam: TensorFlow (reference, trainer, GPU) and OpenVINO (CPU)."""
