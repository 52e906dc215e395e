"""Synthetic FLAIR of random contrast from anatomical label maps, with known lesions, ventricles and confounders.

After SynthSeg (Billot et al., Med Image Anal 2023): what a network has seen in every contrast, resolution and noise it
does not learn by heart. The real scans stay in the mix: synthetic ones are never trained on alone.
"""
