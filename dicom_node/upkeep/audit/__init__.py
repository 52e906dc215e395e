"""The audit trail to a repository: DICOM audit messages (PS3.15 A.5) as syslog over TLS."""
