"""The measurement report (SR, TID 1500), one file a group."""
