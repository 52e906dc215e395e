"""The loop that turns received series into jobs or rejections, and segmentations into feedback."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydicom.dataset import Dataset

from db.feedback import FeedbackTable
from db.inbox import Inbox
from db.jobs import SKIPPED, JobTable
from db.records import AssociationEnd, Job, SeriesActivity, StoredInstance
from dicom_node.node import metrics
from dicom_node.node.clock import steady
from dicom_node.node.dicom_uids import SEGMENTATION_CLASSES
from dicom_node.node.errors import ConfinedChildLost, IncompleteSeries, UnreadableObject
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import describe_error
from dicom_node.node.storage import StorageProbe
from dicom_node.series.complete.evidence import (
    LEARNED_FROM,
    ArrivalEvidence,
    Patience,
    learned_pause,
    longest_pause,
    seconds_to_wait,
)
from dicom_node.series.complete.postponed import Postponed
from dicom_node.series.complete.quiet import QuietTimes
from dicom_node.series.dicom import values
from dicom_node.series.dicom.frames import IMAGE_CLASSES
from dicom_node.series.dicom.parsing import read_beginning, read_header
from dicom_node.series.geometry.planning import Planning, missing_at_ends
from dicom_node.series.geometry.stacking import DIVIDED, MIN_SLICES
from dicom_node.series.read.instances import (
    analysed_instances,
    corrected_from,
    damaged_instances,
    digest_of,
    first_instances,
)
from dicom_node.series.read.patients import require_one_patient
from dicom_node.series.rules.candidates import candidate_of
from dicom_node.series.rules.completeness import is_too_short, slice_completeness
from dicom_node.series.rules.flair import classify_series
from dicom_node.series.rules.own_results import is_own_result
from dicom_node.series.rules.study import planning_of_headers
from dicom_node.series.rules.verdict import Verdict

log = get_logger()

PENDING_SECONDS = 0.25  # between looks while files of a series arrive
_SOON_SECONDS = 0.02  # the shortest wait: a look is due when a quiet time ends, not long after
IDLE_SECONDS = 1.0  # between looks while nothing is
_REMEMBERED_SERIES = 256
_OF_KIND_AND_MAKER = ("Modality", "Manufacturer", "ManufacturerModelName")


@dataclass(frozen=True)
class Examination:
    """What the files of a series contain, so that they are read once and not at every look.

    Attributes:
        digest: names the instances that are analysed.
        own_results: it is one of our results, sent back by a PACS.
        damaged: it is refused, and its files differ from what was received: the verdict is about the disk.
        lost: why it was not examined, as text: what happened to the process that reads. "" when it was examined;
            otherwise there is no verdict, and nothing is stored or reported.
        is_counted: nothing is known to be missing: a header announces the number of images, and all are there; or every
            object counts by itself.
        corrected_from: ordinal of the first instance that arrived again for another patient; None: none did.
        planning: where its slices lie; None where they are no regular stack.
        order, slices, name: of a brain FLAIR, how it compares with others of its study (`FlairCandidate`).
        feedback: it is segmentations only; no file was opened, see `dicom_node.feedback`.
    """

    looks_complete: bool
    verdict: Verdict
    digest: str
    own_results: bool = False
    damaged: bool = False
    lost: str = ""
    is_counted: bool = False
    corrected_from: int | None = None
    order: tuple[int, ...] = ()
    slices: int = 0
    name: str = ""
    feedback: bool = False
    planning: Planning | None = None


# Every object counts by itself, and none is known to be missing.
_FEEDBACK = Examination(
    True, Verdict(True, "feedback", "This is a segmentation."), digest="", is_counted=True, feedback=True
)
_NOT_CLASSIFIED = Verdict(False, "", "")


class Completer:
    """Decides which open series are complete, and makes each a job, a rejection, or feedback.

    Safe to run in several processes: `enqueue`, `reject_series` and `receive` are idempotent for the same instances.

    Args:
        feedback: where segmentations are entered, whatever series they lie in.
        examine: reads and examines the files of a series: in this process by default, with limits by `Examiner`. Where
            it raises ConfinedChildLost the series is looked at again later, see `Postponed`.
        clock: now, in UTC; still: a clock that no step moves, in seconds.
    """

    def __init__(
        self,
        inbox: Inbox,
        jobs: JobTable,
        feedback: FeedbackTable,
        storage: Path,
        patience: Patience,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        examine: Callable[[Sequence[StoredInstance], Path], Examination] | None = None,
        still: Callable[[], float] = steady,
    ) -> None:
        self._inbox = inbox
        self._jobs = jobs
        self._feedback = feedback
        self._storage = storage
        self._probe = StorageProbe(storage)
        self._away: str | None = None
        self._patience = patience
        self._clock = clock
        self._still = still
        self._quiet = QuietTimes(still)
        self._examine_files = examine or examine_files
        self._examined: dict[tuple[str, int], Examination] = {}
        self._postponed = Postponed()
        self._learned: dict[str, float | None] = {}
        self._plannings: dict[str, dict[str, Planning]] = {}

    def look(self) -> float:
        """Look at every open series once.

        Returns:
            seconds until the next look is due.
        """
        for job in self._jobs.retry_resent():
            log.info("series sent again, job retried", series=job.series_instance_uid, job=job.id)
        began = self._still()
        listed = self._inbox.open_series()
        waits = [self._consider(activity) for activity in listed]
        self._quiet.looked(began, [activity.series_instance_uid for activity in listed])
        return min([IDLE_SECONDS, *(max(_SOON_SECONDS, wait) for wait in waits)])

    def _consider(self, listed: SeriesActivity) -> float:
        # The list is as old as the series before this one took; who is busy by it is so all the more by now.
        if (wait := self._wait_of_the_busy(listed, self._clock())) is not None:
            if self._can_be_read_ahead(listed):
                self._read_ahead(listed)
                return self._wait_of_the_busy(listed, self._clock()) or _SOON_SECONDS
            return wait
        # The time first: an instance that comes while we look then makes its series younger, never older than it is.
        now = self._clock()
        found = self._inbox.look_into(listed.series_instance_uid)
        if found is None:
            return IDLE_SECONDS  # another process has closed it
        wait = self._wait_of_the_busy(found[0], now)
        return self._decide(*found, now) if wait is None else wait

    def _can_be_read_ahead(self, listed: SeriesActivity) -> bool:
        """Whether its quiet time is all that it waits for: it came whole, as far as its one association says."""
        return (
            not listed.open_associations
            and listed.last_end is AssociationEnd.RELEASED
            and self._known_examination(listed) is None
            and self._postponed.seconds_left(listed.series_instance_uid, self._still()) <= 0
            and len(self._inbox.arrivals(listed.series_instance_uid)) == 1
        )

    def _read_ahead(self, listed: SeriesActivity) -> None:
        """Examine files while the series is quiet; what comes after them makes the examination one of fewer files."""
        found = self._inbox.look_into(listed.series_instance_uid)
        if found is None or any(instance.sop_class_uid in SEGMENTATION_CLASSES for instance in found[1]):
            return
        if self._known_examination(found[0]) is None:
            self._examine(*found)

    def _decide(self, activity: SeriesActivity, instances: list[StoredInstance], now: datetime) -> float:
        """Close the series if it is complete; returns the seconds to wait."""
        examination = self._known_examination(activity)
        if examination is None:
            if (left := self._postponed.seconds_left(activity.series_instance_uid, self._still())) > 0:
                return left
            feedback = all(instance.sop_class_uid in SEGMENTATION_CLASSES for instance in instances)
            examination = _FEEDBACK if feedback else self._examine(activity, instances)
            if examination is None:
                return IDLE_SECONDS
            if self._inbox.look_into(activity.series_instance_uid) != (activity, instances):
                return PENDING_SECONDS  # more came while its files were read
        lacks = self._inbox.count_refused(activity.series_instance_uid) > 0 or self._goes_on(activity, examination)
        evidence = ArrivalEvidence(
            association_open=activity.open_associations > 0,
            released=activity.last_end is AssociationEnd.RELEASED,
            has_conflict=activity.conflict_count > 0,
            looks_complete=examination.looks_complete and not lacks,
            longest_pause=None if examination.is_counted else self._longest_pause(activity),
            is_counted=examination.is_counted,
        )
        quiet = self._quiet.seconds(activity.series_instance_uid, activity.last_received_at, now)
        wait = seconds_to_wait(evidence, self._patience) - quiet
        if wait > 0:
            return wait
        if any(instance.sop_class_uid in SEGMENTATION_CLASSES for instance in instances):
            self._enter_feedback(activity, closes=examination.feedback)
        if not examination.feedback:
            self._close(activity, examination)
        return IDLE_SECONDS

    def _goes_on(self, activity: SeriesActivity, examination: Examination) -> bool:
        """Another series of the study, as far as it was examined, shows that slices are missing at an end."""
        own = examination.planning
        if own is None or not examination.verdict.accepted:
            return False
        known = self._plannings.get(activity.study_instance_uid, {})
        others = [other for uid, other in known.items() if uid != activity.series_instance_uid]
        return missing_at_ends(own, others) > 0

    def _remember_planning(self, activity: SeriesActivity, planning: Planning) -> None:
        while len(self._plannings) >= _REMEMBERED_SERIES:
            self._plannings.pop(next(iter(self._plannings)))
        self._plannings.setdefault(activity.study_instance_uid, {})[activity.series_instance_uid] = planning

    def _longest_pause(self, activity: SeriesActivity) -> float | None:
        uid = activity.series_instance_uid
        own = longest_pause(self._inbox.arrivals(uid))
        return own if own is not None else self._learned_pause(uid)

    def _learned_pause(self, series_uid: str) -> float | None:
        """By how its sender sent before; asked once a series, since it is looked at several times a second."""
        if series_uid not in self._learned:
            while len(self._learned) >= _REMEMBERED_SERIES:
                self._learned.pop(next(iter(self._learned)))
            self._learned[series_uid] = learned_pause(self._inbox.arrivals_of_sender(series_uid, LEARNED_FROM))
        return self._learned[series_uid]

    def _skipped(self, activity: SeriesActivity, examination: Examination) -> tuple[str, str] | None:
        """Code and reason where another FLAIR of the study is analysed or answered instead: one that is open as well,
        or one that came before."""
        others = list(self._open_siblings(activity))
        if (divided := self._divided(activity, examination, [other for _, other in others])) is not None:
            return divided.code, divided.reason
        better = [other for _, other in others if other.order[0] == 0 and other.order < examination.order]
        if not better:
            return self._skipped_for_earlier(activity, examination)
        best = min(better, key=lambda other: other.order)
        return SKIPPED, (
            f"The study has a better FLAIR, which is analysed: {best.name}; this one is {examination.name}. Retry this "
            "job to have it analysed too."
        )

    def _divided(
        self, activity: SeriesActivity, examination: Examination, others: Sequence[Examination]
    ) -> IncompleteSeries | None:
        """Where the slices of a study are divided among series: why this one gets no answer of its own, since another
        that is open, or that came before, is answered for all. None where this one is to be answered."""
        if examination.slices >= MIN_SLICES:
            return None
        study, uid = activity.study_instance_uid, activity.series_instance_uid
        open_too = [other.slices for other in others if other.slices < MIN_SLICES]
        under_way = [other.slices for _, other in self._analysed_siblings(activity) if other.slices < MIN_SLICES]
        if not open_too and not under_way and not self._jobs.count_rejected(study, DIVIDED, uid, answered=True):
            return None
        count = 1 + len(open_too) + len(under_way) + self._jobs.count_rejected(study, DIVIDED, uid)
        most = max([examination.slices, *open_too, *under_way])
        return IncompleteSeries.slice_per_series(count, 1 if most == 1 else MIN_SLICES)

    def _skipped_for_earlier(self, activity: SeriesActivity, examination: Examination) -> tuple[str, str] | None:
        for job, other in self._analysed_siblings(activity):
            if other.order < examination.order:
                return SKIPPED, (
                    f"Job {job.id} has a better FLAIR of the study: {other.name}; this one is {examination.name}. "
                    "Retry this job to have it analysed too."
                )
        return None

    def _name_better(self, activity: SeriesActivity, examination: Examination, job: Job) -> None:
        """A better FLAIR than those that were analysed before: their jobs say so."""
        worse = [sibling for sibling, other in self._analysed_siblings(activity) if examination.order < other.order]
        if worse:
            self._jobs.name_better([sibling.id for sibling in worse], job, examination.name)
            log.info(
                "better FLAIR of the study arrived later", job=job.id, instead_of=[sibling.id for sibling in worse]
            )

    def _analysed_siblings(self, activity: SeriesActivity) -> list[tuple[Job, Examination]]:
        """Jobs of the study's other FLAIR series; one whose files cannot be read any more is not compared."""
        jobs = self._jobs.analysed_of_study(activity.study_instance_uid, activity.series_instance_uid)
        found = [(job, self._tried(self._inbox.instances_of_job(job))) for job in jobs]
        return [(job, sibling) for job, sibling in found if sibling.verdict.accepted and sibling.order]

    def _open_siblings(self, activity: SeriesActivity) -> Iterator[tuple[str, Examination]]:
        """Other open FLAIR series of the study that nothing more comes of at the moment."""
        for other in self._inbox.open_series():
            uid = other.series_instance_uid
            if other.study_instance_uid != activity.study_instance_uid or uid == activity.series_instance_uid:
                continue
            found = self._inbox.look_into(uid)
            if found is None or self._wait_of_the_busy(found[0], self._clock()) is not None:
                continue
            examination = self._known_examination(found[0]) or self._examine(*found)
            if examination is not None and examination.verdict.accepted and examination.order:
                yield uid, examination

    def _wait_of_the_busy(self, activity: SeriesActivity, now: datetime) -> float | None:
        """Seconds to wait for a series that is not complete whatever its files say; None for others."""
        quiet = self._quiet.seconds(activity.series_instance_uid, activity.last_received_at, now)
        if quiet < self._patience.quiet_seconds:
            return self._patience.quiet_seconds - quiet
        if activity.open_associations and quiet < self._patience.open_association_seconds:
            return IDLE_SECONDS
        return None

    def _known_examination(self, activity: SeriesActivity) -> Examination | None:
        return self._examined.get((activity.series_instance_uid, activity.instance_count))

    def _examine(self, activity: SeriesActivity, instances: Sequence[StoredInstance]) -> Examination | None:
        """None while the storage is away: that makes every series look unreadable, and says nothing about any. And
        none while the series is put off, see `Postponed`."""
        examination = self._tried(instances)
        away = None if examination.verdict.accepted else self._probe.away()
        if away is not None and self._away is None:
            log.error("storage unavailable, no series is examined until it is back", trouble=away)
        self._away = away
        if away is not None or self._is_put_off(activity.series_instance_uid, examination):
            return None
        while len(self._examined) >= _REMEMBERED_SERIES:
            self._examined.pop(next(iter(self._examined)))
        self._examined[activity.series_instance_uid, activity.instance_count] = examination
        if examination.planning is not None:
            self._remember_planning(activity, examination.planning)
        return examination

    def _tried(self, instances: Sequence[StoredInstance]) -> Examination:
        try:
            return self._examine_files(instances, self._storage)
        except ConfinedChildLost as error:
            return Examination(True, _NOT_CLASSIFIED, digest_of(first_instances(instances)), lost=str(error))

    def _is_put_off(self, series_uid: str, examination: Examination) -> bool:
        if not examination.lost:
            self._postponed.forget(series_uid)
            return False
        wait = self._postponed.postpone(series_uid, self._still())
        if wait is None:
            log.error("series could not be read, a job will try", series=series_uid, trouble=examination.lost)
            return False
        log.warning("series could not be read, will retry", series=series_uid, seconds=wait, trouble=examination.lost)
        return True

    def _enter_feedback(self, activity: SeriesActivity, *, closes: bool) -> None:
        series_uid, count = activity.series_instance_uid, activity.instance_count
        entered = self._feedback.receive(series_uid, count, SEGMENTATION_CLASSES, closes=closes)
        if entered:
            log.info("segmentations received", series=series_uid, instances=count, feedback=entered)

    def _close(self, activity: SeriesActivity, examination: Examination) -> None:
        series_uid, count, verdict = activity.series_instance_uid, activity.instance_count, examination.verdict
        if examination.own_results:
            self._inbox.close_series(series_uid, count)
            log.info("own result came back, nothing to do", series=series_uid, instances=count)
            return
        if examination.lost:  # the job reads the files in its attempts, or fails and says why; a resend reopens it
            job = self._jobs.enqueue(series_uid, examination.digest, count)
            log.info("series needs no job", series=series_uid, instances=count, job=job.id)
            return
        if not verdict.accepted and not verdict.is_flair and not examination.damaged:
            self._inbox.reject_series(series_uid, verdict.code, verdict.reason, count, examination.digest)
            metrics.series_rejected(verdict.code)
            log.info("series rejected", series=series_uid, instances=count, code=verdict.code)
            return
        if verdict.accepted and (skipped := self._skipped(activity, examination)) is not None:
            self._inbox.reject_series(series_uid, *skipped, count, examination.digest)
            log.info("series skipped", series=series_uid, instances=count, code=skipped[0])
            return
        # Of a brain FLAIR that is refused a job is made too: its worker rejects it, and sends refusal reports (ADR 12).
        # And of damaged files: it fails and says which they are, and a resend has it tried again.
        job = self._jobs.enqueue(series_uid, examination.digest, count, examination.corrected_from)
        if examination.corrected_from is not None:
            log.warning(
                "series arrived again for another patient, earlier results are out", series=series_uid, job=job.id
            )
        if verdict.accepted and examination.order and examination.order[0] == 0:
            self._name_better(activity, examination, job)
        log.info("series complete", series=series_uid, instances=count, job=job.id)


def examine_files(instances: Sequence[StoredInstance], storage: Path) -> Examination:
    """Choose files, read their headers and apply the rules; any effect of a hostile file becomes a verdict.

    This is the worker's edge towards received bytes, so every error ends here: one bad series must not stop the others.
    """
    if not any(instance.sop_class_uid in IMAGE_CLASSES for instance in instances):
        return _examined_others(first_instances(instances), storage)
    examination = _examined(instances, storage)
    if examination.verdict.accepted:
        return examination
    return replace(examination, damaged=bool(damaged_instances(instances, storage)))


def _examined_others(chosen: Sequence[StoredInstance], storage: Path) -> Examination:
    """Decide about a series without a single MR image, such as the reports and the screen shots of a study.

    The classes decide, and the receiver has compared those with the objects. So damage on the disk changes nothing, and
    of what may be large (raw data, documents, a CT) only beginnings are read: is it our own result, sent back?
    """
    try:
        own_results = all(
            is_own_result(_beginning(instance, storage)) for instance in chosen
        )  # ends at the first that is not
        one_of_each = {instance.sop_class_uid: instance for instance in reversed(chosen)}
        verdict = classify_series([_beginning(instance, storage) for instance in reversed(one_of_each.values())])
        return Examination(True, verdict, digest_of(chosen), own_results)
    except Exception as error:
        return _not_examined(error, chosen)


def _beginning(instance: StoredInstance, storage: Path) -> Dataset:
    """The class that was received, and what the file says of kind and maker as far as that can be read."""
    beginning = Dataset()  # a new one: what the file has in these places may be nothing that can be written over
    beginning.SOPClassUID = instance.sop_class_uid
    with suppress(UnreadableObject):
        header = read_beginning(storage / instance.path)
        for keyword in _OF_KIND_AND_MAKER:
            setattr(beginning, keyword, values.text(header, keyword))
    return beginning


def _examined(instances: Sequence[StoredInstance], storage: Path) -> Examination:
    chosen = first_instances(instances)
    try:
        chosen = analysed_instances(instances, storage)
        headers = [read_header(storage / instance.path) for instance in chosen]
        verdict = classify_series(headers)
        found, candidate = slice_completeness(headers), candidate_of(headers) if verdict.accepted else None
        complete = found.looks_complete and not (verdict.accepted and is_too_short(headers))
        is_counted = complete and found.is_counted
        return Examination(
            complete, verdict, digest_of(chosen), is_counted=is_counted,
            corrected_from=_corrected_from(instances, chosen, headers, storage),
            order=() if candidate is None else candidate.order,
            slices=0 if candidate is None else candidate.slices,
            name="" if candidate is None else candidate.name,
            planning=planning_of_headers(headers),
        )  # fmt: skip
    except UnreadableObject as error:
        return Examination(True, Verdict(False, error.code, error.reason), digest_of(chosen))
    except Exception as error:
        return _not_examined(error, chosen)


def _corrected_from(
    instances: Sequence[StoredInstance], chosen: Sequence[StoredInstance], headers: Sequence[Dataset], storage: Path
) -> int | None:
    """As `corrected_from`; None while only a part has the other patient: then the series has two, and is refused."""
    try:
        require_one_patient(headers)
    except UnreadableObject:
        return None
    return corrected_from(instances, chosen, storage)


def _not_examined(error: Exception, chosen: Sequence[StoredInstance]) -> Examination:
    """A fault of the program, reported without the error's own text and traceback: those may quote a patient's
    values.
    """
    what = describe_error(error)
    log.error("series could not be examined", what=what)
    reason = f"The series could not be examined: {what}. Please report this with the series' UID."
    return Examination(True, Verdict(False, "unexpected_error", reason), digest_of(chosen))
