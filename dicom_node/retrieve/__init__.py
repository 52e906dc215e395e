"""Fetching studies from an archive: what it holds, and its way here (C-MOVE, C-GET, WADO-RS), cohort by cohort."""
