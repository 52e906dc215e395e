"""The matcher: decides what each received segmentation is.

| what is found                                            | becomes                                               |
|----------------------------------------------------------|-------------------------------------------------------|
| no readable outline, FRACTIONAL, no segment of WMH       | refused, once it is known what series it is about, or |
|                                                          | that it can be about none                             |
| refers to no series that was analysed (yet)              | waits; looked at again, ever more seldom              |
| our own result, as it was sent                           | own                                                   |
| another frame of reference, another grid                 | refused                                               |
| fits a series with a result                              | accepted, with notes and the comparison               |
| its file is not what was received any more               | waits for the resend that repairs it                    |

Nothing is claimed: two workers that look at the same row come to the same decision, and the first one stays. A kill at
any instruction leaves the row waiting, and the next look begins again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from db.feedback import FeedbackTable
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import Feedback, FeedbackDecision, FeedbackFacts, FeedbackState, Job
from dicom_node.feedback.compare import model_of
from dicom_node.feedback.read import CorrectedSeries, FeedbackReader, Findings, Own
from dicom_node.node.errors import NotAnalysable, UnreadableObject, WmhNodeError
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import describe_error
from dicom_node.node.outbox import Outbox
from dicom_node.node.storage import StorageProbe
from dicom_node.series.dicom.parsing import file_sha256
from dicom_node.series.read.instances import damaged_instances

log = get_logger()

IDLE_SECONDS: Final = 2.0  # between looks while nothing is due; a question to an index
_AWAY_SECONDS: Final = 5.0
_SHORTEST_WAIT: Final = 2.0
_LONGEST_WAIT: Final = 6 * 3600.0
_WAIT_OF_AGE: Final = 8.0  # what has waited for eight minutes is looked at again in one
_MOST_ATTEMPTS: Final = 5
_RETRY_SECONDS: Final = 10.0
_MODEL_SEG: Final = "seg.dcm"  # every result set has it in this form (`dicom_node.results.result_set`)


@dataclass(frozen=True)
class _Candidate:
    """A series that an object may be about, and its newest job with a result."""

    series_instance_uid: str
    job: Job


def longest_wait(came: datetime, now: datetime) -> float:
    """The longest wait, in seconds, of a row that came then; none when it came in the future, by a clock that was."""
    age = (now - came).total_seconds()
    return 0.0 if age < 0 else max(_wait_of(age), _RETRY_SECONDS * 2**_MOST_ATTEMPTS)


def _wait_of(age: float) -> float:
    """Seconds until a row that has waited for `age` seconds is looked at again."""
    return min(_LONGEST_WAIT, max(_SHORTEST_WAIT, age / _WAIT_OF_AGE))


class FeedbackMatcher:
    """Takes what waits through matching, checking and comparing.

    Args:
        feedback, inbox, jobs: tables.
        storage: where the paths of instances start; absolute.
        outbox: where the model's own masks lie.
        reader: reads received files, within limits.
        clock: UTC.
    """

    def __init__(
        self,
        feedback: FeedbackTable,
        inbox: Inbox,
        jobs: JobTable,
        storage: Path,
        outbox: Outbox,
        reader: FeedbackReader,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._feedback = feedback
        self._inbox = inbox
        self._jobs = jobs
        self._storage = storage
        self._outbox = outbox
        self._reader = reader
        self._clock = clock
        self._probe = StorageProbe(storage)

    def step(self) -> float:
        """For `run_until_stopped`: look at one row that is due."""
        due = self._feedback.due()
        if not due:
            return IDLE_SECONDS
        return self.look_at(due[0])

    def close(self) -> None:
        """End the child that reads files."""
        self._reader.close()

    def look_at(self, feedback: Feedback) -> float:
        """Look at one row; returns the seconds until the next look is due. Every error ends here, in the row."""
        try:
            decision = self._looked_at(feedback)
        except Exception as error:
            return self._put_back(feedback, error)
        after = self._feedback.decide(feedback.id, decision)
        _log_decision(feedback, after)
        return 0.0

    # Looking

    def _looked_at(self, feedback: Feedback) -> FeedbackDecision:
        file = self._storage / feedback.path
        try:
            facts, ours = self._reader.describe(file)
        except NotAnalysable as error:
            return self._refused(feedback, error, None)
        candidates = self._candidates(facts)
        if not candidates:
            return self._unmatched(feedback, facts, ours)
        refusal: NotAnalysable | None = None
        for candidate in candidates:
            try:
                return self._examined(feedback, facts, candidate, ours=ours)
            except NotAnalysable as error:
                refusal = refusal or error
        assert refusal is not None
        return self._refused(feedback, refusal, facts, candidates[0])

    def _examined(
        self, feedback: Feedback, facts: FeedbackFacts, candidate: _Candidate, *, ours: bool
    ) -> FeedbackDecision:
        found = self._reader.examine(
            self._storage / feedback.path, self._storage, self._source(candidate.job), ours=ours
        )
        series_uid, job = candidate.series_instance_uid, candidate.job
        if isinstance(found, Own):
            return FeedbackDecision(FeedbackState.OWN, facts, series_uid, job.id)
        notes, comparison = _compared(found, job)
        if series_uid not in (facts.refers_to or {})["series"]:
            notes = (*notes, "The object names no series; it was matched by its source images or its study.")
        return FeedbackDecision(FeedbackState.ACCEPTED, facts, series_uid, job.id, notes=notes, comparison=comparison)

    def _source(self, job: Job) -> CorrectedSeries:
        folder = self._outbox.of_job(job.id)
        model_seg = None if folder is None or not (folder / _MODEL_SEG).exists() else folder / _MODEL_SEG
        instances = self._inbox.instances_of_job(job)
        return CorrectedSeries(instances, job.instances_digest, model_seg, folder)

    # Matching

    def _candidates(self, facts: FeedbackFacts) -> list[_Candidate]:
        """By the series that it names; else by its source images; else the only analysed one of its study."""
        refers = facts.refers_to or {}
        named = list(refers["series"]) or self._feedback.series_of_instances(refers["instances"])
        if named:
            return [one for uid in named if (one := self._candidate(uid)) is not None]
        of_study = [one for uid in self._feedback.analysed_series(refers["study"]) if (one := self._candidate(uid))]
        return of_study if len(of_study) == 1 else []

    def _candidate(self, series_instance_uid: str) -> _Candidate | None:
        with_result = [job for job in self._jobs.of_series(series_instance_uid) if job.measurements is not None]
        return _Candidate(series_instance_uid, with_result[-1]) if with_result else None

    # Decisions

    def _unmatched(self, feedback: Feedback, facts: FeedbackFacts, ours: bool) -> FeedbackDecision:
        if ours:
            return FeedbackDecision(FeedbackState.OWN, facts)
        code, reason = self._why_unmatched(facts)
        return self._waiting(feedback, facts, code, reason)

    def _waiting(self, feedback: Feedback, facts: FeedbackFacts | None, code: str, reason: str) -> FeedbackDecision:
        wait = _wait_of((self._clock() - feedback.received_at).total_seconds())
        return FeedbackDecision(FeedbackState.WAITING, facts, code=code, reason=reason, wait_seconds=wait)

    def _why_unmatched(self, facts: FeedbackFacts) -> tuple[str, str]:
        refers = facts.refers_to or {}
        if not refers["series"] and not refers["instances"]:
            return "no_reference", (
                "It names neither a series nor images that it was drawn on, and its study does not have exactly one "
                "analysed series. It is kept; export it again with references to the FLAIR."
            )
        named: Sequence[str] = refers["series"] or self._feedback.series_of_instances(refers["instances"])
        jobs = [job for uid in named for job in self._jobs.of_series(uid)]
        if jobs:
            why = "" if jobs[-1].reason is None else f": {jobs[-1].reason}"
            return "no_result", (
                f"The series that it was drawn on has no result to compare with: job {jobs[-1].id} is "
                f"{jobs[-1].state}{why}. It is kept, and checked again when there is one."
            )
        if any(self._inbox.instances_of(uid) for uid in named):
            return "not_analysed", (
                "The series that it was drawn on has arrived and is not analysed yet. It is kept, and checked again "
                "when there is a result."
            )
        return "no_series", (
            "It was drawn on a series that this node has not received. It is kept, and checked again later: send "
            "the FLAIR series too if it is missing."
        )

    def _refused(
        self, feedback: Feedback, error: NotAnalysable, facts: FeedbackFacts | None, about: _Candidate | None = None
    ) -> FeedbackDecision:
        """Refused, unless it is the file on disk that is wrong, of the segmentation or of the series."""
        if not self._is_as_received(feedback):
            return self._waiting(
                feedback,
                facts,
                "file_damaged",
                "Its file in the storage is missing or differs from what was received. Send the same object again, "
                "or restore the file from a backup.",
            )
        if about is None:
            return FeedbackDecision(
                FeedbackState.REFUSED, facts, code=error.code, reason=_shown(error.reason, feedback)
            )
        if damaged_instances(self._source(about.job).instances, self._storage):
            return self._waiting(
                feedback,
                facts,
                "series_damaged",
                "Files of the series that it was drawn on are missing or differ from what was received. Send the "
                "series again, or restore the files from a backup.",
            )
        return FeedbackDecision(
            FeedbackState.REFUSED,
            facts,
            about.series_instance_uid,
            about.job.id,
            error.code,
            _shown(error.reason, feedback),
        )

    def _is_as_received(self, feedback: Feedback) -> bool:
        if (trouble := self._probe.away()) is not None:
            raise WmhNodeError(trouble)
        try:
            return file_sha256(self._storage / feedback.path) == feedback.sha256
        except UnreadableObject:
            return False

    def _put_back(self, feedback: Feedback, error: Exception) -> float:
        """Wait while the storage is unavailable; retry anything else some times, then give it as the reason."""
        if (trouble := self._probe.away()) is not None:
            log.error(
                "storage unavailable, no feedback is checked until it is back", feedback=feedback.id, trouble=trouble
            )
            self._feedback.put_back(feedback.id, _AWAY_SECONDS, counted=False)
            return _AWAY_SECONDS
        words = str(error) if isinstance(error, WmhNodeError) else describe_error(error)
        log.error("feedback could not be checked", feedback=feedback.id, attempt=feedback.attempts + 1, what=words)
        if (
            self._feedback.put_back(feedback.id, _RETRY_SECONDS * 2**feedback.attempts, counted=True).attempts
            >= _MOST_ATTEMPTS
        ):
            reason = f"It could not be checked: {words}. `wmh-node feedback retry {feedback.id}` tries again."
            decision = FeedbackDecision(FeedbackState.REFUSED, code="unexpected_error", reason=reason)
            _log_decision(feedback, self._feedback.decide(feedback.id, decision))
        return 0.0


def _compared(found: Findings, job: Job) -> tuple[tuple[str, ...], dict[str, object] | None]:
    """Notes, and the comparison for the table."""
    model = model_of(dict(job.measurements or {}))
    if found.figures is None or model is None:
        return (*found.notes, "The model's own mask no longer exists, so there is no comparison."), None
    return found.notes, {**found.figures, "model": model, "job": job.id}


def _shown(reason: str, feedback: Feedback) -> str:
    """A file's name in the storage means nothing to a radiologist."""
    return reason.replace(Path(feedback.path).name, "the segmentation")


def _log_decision(before: Feedback, after: Feedback) -> None:
    """UIDs, our own numbers, and who sent; never a person's name."""
    if (before.state, before.code) == (after.state, after.code):
        return
    log.info(
        f"feedback {after.state}",
        feedback=after.id,
        segmentation=after.sop_instance_uid,
        series=after.source_series_uid,
        job=after.job_id,
        code=after.code,
        dsc=None if after.comparison is None else round(after.comparison["dsc"], 3),
    )
