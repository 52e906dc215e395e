"""What every test process needs before its first import."""

from __future__ import annotations

import os

# As `segmentation.runtimes.tensorflow` does, which a test process may import when TensorFlow is loaded already.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
