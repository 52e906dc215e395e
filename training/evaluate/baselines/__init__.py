"""What a model is compared with: simpler methods behind the ensemble's own seam."""
