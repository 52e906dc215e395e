"""What the node answers with: SEG, measurement report (SR), and a picture for a person."""
