"""The exceptions of `training`, one tree.

TrainingError
├── BadInput           what was handed in cannot be used; found before any epoch is spent
│   ├── BadCase        a case that cannot be trained on: missing file, other grid, foreign label
│   └── BadCohort      cases that do not make a cohort: none at all, one patient on two sides, a broken patients.csv
├── BadRecipe          a recipe field that does not exist, or a value that it cannot take
├── BackendUnavailable the backend asked for is not installed, or another one is loaded already
├── OtherRun           a run folder that belongs to another training, or that another process is writing
├── CheckpointLost     a checkpoint that state.json names cannot be read
├── NotSaved           a checkpoint, slices, a score or a report could not be written: no space, or no working disk
└── BadEvaluation      an evaluation or comparison document that is damaged or of another version
"""

from __future__ import annotations


class TrainingError(Exception):
    """Root of everything that `training` raises on purpose."""


class BadInput(TrainingError):
    """Cases or a table that cannot be used; the message names the case or the file."""


class BadCase(BadInput):
    """A case that cannot be trained on; the message names it."""


class BadCohort(BadInput):
    """Cases that do not make a cohort."""


class BadRecipe(TrainingError):
    """A recipe that cannot be followed; the message names the field."""


class BackendUnavailable(TrainingError):
    """The backend asked for cannot be had in this process."""


class OtherRun(TrainingError):
    """The run folder belongs to another training."""


class CheckpointLost(TrainingError):
    """A checkpoint that should be there cannot be read."""


class NotSaved(TrainingError):
    """Something could not be written; the message says what is still there, and what to do."""


class BadEvaluation(TrainingError):
    """An evaluation or comparison document that is damaged or of another version."""
