"""Fetching studies from an archive: what it holds (C-FIND), and its way here (C-MOVE), cohort by cohort."""
