"""The anatomy network: drawn scans whose label maps know everything, and real masks of brain and ventricles."""
