"""The exceptions of `db`, one tree.

    DatabaseError
    ├── DatabaseUnavailable    cannot be reached, is locked, full or read-only; trying again later may help
    ├── SchemaOutOfDate        tables are missing, older or newer than this version needs
    ├── InvalidDatabaseUrl     a URL that names no database we can use
    ├── UnknownRow             there is no job, delivery or association of that id
    ├── IllegalTransition      the table in `db/transitions.py` does not allow it
    ├── InvalidMeasurements    measurements or an evaluation with a value that JSON lacks, such as NaN
    ├── UnknownModel           no registered model has that digest or name, or several could be meant
    ├── LiveModelChanged       another promotion came first: the comparison no longer applies
    ├── NoEarlierModel         there is no model to roll back to
    └── LeaseLost              another worker has the job: drop the result

A message never holds a password: URLs are shown through `db.engine.url.shown`.
"""

from __future__ import annotations


class DatabaseError(Exception):
    """Root of everything that `db` raises on purpose."""


class DatabaseUnavailable(DatabaseError):
    """The database did not answer, or refused to work just now."""


class SchemaOutOfDate(DatabaseError):
    """The tables are not those that this version of the program needs."""


class InvalidDatabaseUrl(DatabaseError):
    """The database URL cannot be used."""


class UnknownRow(DatabaseError):
    """There is no row of that id."""


class IllegalTransition(DatabaseError):
    """A job cannot go from its state to the requested one."""


class InvalidMeasurements(DatabaseError):
    """Measurements that cannot be stored."""


class UnknownModel(DatabaseError):
    """The registry has no such model, or more than one that could be meant."""


class LiveModelChanged(DatabaseError):
    """The live model is not the one that the caller decided about."""


class NoEarlierModel(DatabaseError):
    """No promotion came before the one that made the live model live."""


class LeaseLost(DatabaseError):
    """The caller does not hold the lease, or no longer holds it."""
