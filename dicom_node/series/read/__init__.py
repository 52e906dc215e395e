"""From the files of one series to its FLAIR volume, or a typed refusal; received files are read in a confined child."""
