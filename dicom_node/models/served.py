"""The model that a worker computes with: follows the live model between two jobs, without a restart."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from dicom_node.models.choice import ModelChoice, Origin
from dicom_node.node.errors import WmhNodeError
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import describe_error
from segmentation.ensemble import Ensemble
from segmentation.errors import SegmentationError

log = get_logger()

FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 300.0


@dataclass(frozen=True)
class _Failure:
    """A model that could not be loaded: why, when it is tried again (monotonic clock), and whether it was reported."""

    choice: ModelChoice
    words: str
    wait_seconds: float
    again_at: float
    is_reported: bool = False


class ServedModel:
    """Gives the ensemble to use now. Ask before each job: `current` loads another one when another model is live.

    A live model that cannot be loaded never stops a worker that has one: it continues with that one, reports it once,
    and retries with growing waits; at once when yet another model is promoted or rolled back to. A worker without a
    model waits in the same way, and begins no job.

    Args:
        choose: which model to use; asked each time, so it must be cheap.
        open_choice: loads and compiles it.
        report: called with (choice, words) when the live model cannot be loaded; once for each new reason. When it
            raises, `current` does, and it is called again after the next try.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        choose: Callable[[], ModelChoice],
        open_choice: Callable[[ModelChoice], Ensemble],
        report: Callable[[ModelChoice, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._choose = choose
        self._open = open_choice
        self._report = report
        self._clock = clock
        self._choice: ModelChoice | None = None
        self._ensemble: Ensemble | None = None
        self._warm: Ensemble | None = None
        self._failure: _Failure | None = None

    def current(self) -> Ensemble | None:
        """The ensemble to use for the next job; None when no job can be begun yet.

        Raises:
            SegmentationError, OSError: the first model is not a live one, and cannot be loaded.
        """
        choice = self._choose()
        if choice == self._choice:
            self._failure = None
        elif self._is_due(choice):
            self._load(choice)
        return self._ensemble

    def warm_up(self) -> None:
        """While there is nothing to do: what the first job would else wait for, once for each model."""
        if self._ensemble is None or self._ensemble is self._warm:
            return
        self._warm = self._ensemble
        try:
            self._ensemble.warm_up()
        except SegmentationError as error:  # the job that needs it says so
            log.warning("model is not warm", reason=str(error))

    def _is_due(self, choice: ModelChoice) -> bool:
        failure = self._failure
        return failure is None or failure.choice != choice or self._clock() >= failure.again_at

    def _load(self, choice: ModelChoice) -> None:
        """Load and take over. This is an edge: whatever a damaged bundle or a runtime raises ends here."""
        try:
            ensemble = self._open(choice)
        except Exception as error:
            if choice.origin is not Origin.LIVE:
                raise  # no other can be promoted over it: it is a matter of the installation
            self._fail(choice, error)
            return
        _log_ready(choice, ensemble, self._ensemble)
        self._choice, self._ensemble, self._failure = choice, ensemble, None

    def _fail(self, choice: ModelChoice, error: Exception) -> None:
        words = str(error) if isinstance(error, WmhNodeError | SegmentationError | OSError) else describe_error(error)
        before = self._failure if self._failure is not None and self._failure.choice == choice else None
        wait = FIRST_RETRY_SECONDS if before is None else min(before.wait_seconds * 2, LONGEST_RETRY_SECONDS)
        failure = _Failure(choice, words, wait, self._clock() + wait)
        is_known = before is not None and before.words == words
        if before is not None and is_known and before.is_reported:
            self._failure = replace(failure, is_reported=True)
            return
        self._failure = failure  # before the report: reporting may fail, and the wait holds anyway
        if not is_known:
            log.error(
                "live model cannot be loaded",
                digest=choice.digest,
                reason=words,
                instead="no job starts" if self._ensemble is None else f"continues with {_named(self._ensemble)}",
            )
        self._report(choice, words if self._ensemble is None else f"{words}. Continues with {_named(self._ensemble)}")
        self._failure = replace(failure, is_reported=True)


def _log_ready(choice: ModelChoice, ensemble: Ensemble, before: Ensemble | None) -> None:
    log.info(
        "model ready",
        model=ensemble.identity.name,
        version=ensemble.identity.version,
        digest=ensemble.identity.digest[:12],
        why=str(choice.origin),
        runtime=ensemble.runtime,
        precision=ensemble.precision,
        **({} if before is None else {"instead_of": _named(before)}),
    )


def _named(ensemble: Ensemble) -> str:
    identity = ensemble.identity
    return f"{identity.name} {identity.version} ({identity.digest[:12]})"
