"""The exceptions of `training`, one tree.

TrainingError
├── BadCase       a case that cannot be trained on: missing file, other grid, foreign label
├── BadCohort     cases that do not make a cohort: none at all, too few patients for the folds, a broken patients.csv
└── BadEvaluation an evaluation document that is damaged or of another version
"""

from __future__ import annotations


class TrainingError(Exception):
    """Root of everything that `training` raises on purpose."""


class BadCase(TrainingError):
    """A case that cannot be trained on; the message names it."""


class BadCohort(TrainingError):
    """Cases that do not make a cohort."""


class BadEvaluation(TrainingError):
    """An evaluation document that is damaged or of another version."""
