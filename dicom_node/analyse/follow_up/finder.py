"""Which earlier result of the patient a job's result is compared with.

"Earlier" is an earlier day of acquisition in another study, whatever order the studies came in; of several, the newest
day, then the series most alike, then the newest job. The choice is written down with the job before anything is built
from it, so that every attempt, also by another worker, makes the same result (docs/adr/0011).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from db.measured import is_usable
from db.records import Job, MeasuredScan, Scan
from db.scans import ScanTable
from dicom_node.analyse.follow_up.acquisition import Acquisition
from dicom_node.analyse.follow_up.lesion_comparer import LesionComparer
from dicom_node.analyse.follow_up.none_known import none_known
from dicom_node.analyse.follow_up.patient_key import PatientHasher
from dicom_node.node.logger import get_logger
from dicom_node.results.common.comparison import EarlierResult, FollowUp, NoEarlierScan, NotCompared, Visit
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.common.words import is_partial
from dicom_node.series.dicom.examination import acquired_on
from dicom_node.series.read.flair_series import FlairSeries
from segmentation.bundle import ModelIdentity
from segmentation.interval import VolumeInterval
from segmentation.segment import Segmentation

log = get_logger()

OTHER_BIRTH_DATE: Final = (
    "An earlier result under the same patient identifier has another date of birth: the two were not compared. "
    "Check that both belong to the same patient."
)
_MANY_SCANNERS: Final = "Volumes from two scanners may differ without any change in the patient."


class FollowUps:
    """Finds earlier results.

    Args:
        scans: the table of scans.
        hasher: of this node.
        lesions: compares lesion by lesion; None: volumes only.
    """

    def __init__(self, scans: ScanTable, hasher: PatientHasher, lesions: LesionComparer | None = None) -> None:
        self._scans = scans
        self._hasher = hasher
        self._lesions = lesions

    def find(
        self, job: Job, series: FlairSeries, model: ModelIdentity, segmentation: Segmentation | None = None
    ) -> FollowUp:
        """What the result of this job is compared with; also enters the scan, for those that come later.

        Args:
            job: whose result it will be.
            series: what it read.
            model: what will measure it.
            segmentation: what was found in it; where it is reliable, its lesions are compared too.

        Returns:
            Also why there is nothing to compare with.
        """
        header = series.headers[0]
        identity, day = self._hasher.identity(header), acquired_on(header)
        if identity is None or day is None:
            log.info("no follow-up: the images give no patient identifier or no date", job=job.id)
            return none_known(header)
        scan = Scan(
            job_id=job.id,
            study_instance_uid=series.study_instance_uid,
            patient_key=identity.patient_key,
            birth_key=identity.birth_key,
            acquired_on=day,
            description=Acquisition.of(series, self._hasher.scanner_keys(header)).as_json,
        )
        earlier = self._scans.earlier_results(scan)
        is_chosen, found = self._scans.chosen(job.id)
        if not is_chosen:
            choice = choose(scan, earlier)
            found = self._scans.choose(scan, None if choice is None else choice.scan.job_id)
        if found is None:
            return none_known(header)
        log.info("earlier result found", job=job.id, earlier_job=found.scan.job_id)
        follow_up = follow_up_of(scan, found, model)
        if not isinstance(follow_up, EarlierResult):
            return follow_up
        follow_up = replace(follow_up, visits=visits_of(scan, found, earlier))
        if self._lesions is None or segmentation is None or not segmentation.is_reliable:
            return follow_up
        return replace(follow_up, lesions=self._lesions.compare(job, series, segmentation, found.scan.job_id))


def visits_of(scan: Scan, chosen: MeasuredScan, earlier: Sequence[MeasuredScan]) -> tuple[Visit, ...]:
    """The earlier results to show in one plot, oldest first, one a day.

    Only those of the same date of birth, of the model that measured the chosen one, of a whole brain, and that were
    received before the present scan, or chosen: what comes meanwhile must not change a second attempt's result, and a
    line through volumes of two models or of parts would show a change that is none. Of one day the newest job counts.

    Args:
        scan: the present one.
        chosen: what it is compared with.
        earlier: newest day first, see `ScanTable.earlier_results`.
    """
    by_day: dict[Any, Visit] = {}
    # The last entry of a day stays: its newest job, and the chosen one above all.
    for result in (*reversed(earlier), chosen):
        is_chosen = result.scan.job_id == chosen.scan.job_id
        volume = _volume_of(result.measurements)
        if volume is None or _other_birth_date(scan, result.scan):
            continue
        if is_chosen or (result.scan.job_id < scan.job_id and _is_like(result, chosen)):
            by_day[result.scan.acquired_on] = Visit(result.scan.acquired_on, *volume)
    return tuple(by_day[day] for day in sorted(by_day))


def _is_like(result: MeasuredScan, chosen: MeasuredScan) -> bool:
    """By the same model, and no part of a brain."""
    same_model = _model_of(result.measurements) == _model_of(chosen.measurements)
    return same_model and not is_partial(result.measurements.get("flags") or ())


def choose(scan: Scan, earlier: Sequence[MeasuredScan]) -> MeasuredScan | None:
    """The earlier result to compare with.

    One with another date of birth is only chosen when there is no other; it is then reported, not compared.

    Args:
        scan: the present one.
        earlier: newest day first, then newest job first, see `ScanTable.earlier_results`.
    """
    usable = [result for result in earlier if _volume_of(result.measurements) is not None]
    same_person = [result for result in usable if not _other_birth_date(scan, result.scan)]
    candidates = same_person or usable
    of_newest_day = [
        candidate for candidate in candidates if candidate.scan.acquired_on == candidates[0].scan.acquired_on
    ]
    now = Acquisition.from_json(scan.description)
    return min(of_newest_day, key=lambda one: _unlikeness(now, one), default=None)


def follow_up_of(scan: Scan, found: MeasuredScan, model: ModelIdentity) -> FollowUp:
    """The chosen result as what a report can be compared with; none should it have lost its volume."""
    report = ReportReference.from_uids(found.report)
    if _other_birth_date(scan, found.scan):
        return NotCompared(report, OTHER_BIRTH_DATE)
    volume = _volume_of(found.measurements)
    if volume is None:
        return NoEarlierScan("none_known")
    return EarlierResult(
        report=report,
        acquired_on=found.scan.acquired_on,
        now_acquired_on=scan.acquired_on,
        volume_ml=volume[0],
        interval_ml=volume[1],
        warnings=_warnings(scan, found, model),
        size=Acquisition.from_json(found.scan.description).size,
    )


def _other_birth_date(scan: Scan, earlier: Scan) -> bool:
    """Both give one, and they differ. The keys are of identifier and date, and the identifier is the same."""
    return bool(scan.birth_key and earlier.birth_key) and scan.birth_key != earlier.birth_key


def _unlikeness(now: Acquisition, found: MeasuredScan) -> int:
    earlier = Acquisition.from_json(found.scan.description)
    of_two_scanners = now.other_scanner(earlier) or now.device_difference(earlier) is not None
    return len(now.protocol_differences(earlier)) + of_two_scanners


def _volume_of(measurements: Mapping[str, Any]) -> tuple[float, VolumeInterval] | None:
    """Volume and interval; None in a result that is not reliable, and of a version that measured no interval."""
    if not is_usable(measurements):
        return None
    try:
        return float(measurements["wmh_volume_ml"]), VolumeInterval(*map(float, measurements["volume_interval_ml"]))
    except (KeyError, TypeError, ValueError):
        return None


def _warnings(scan: Scan, found: MeasuredScan, model: ModelIdentity) -> tuple[str, ...]:
    now, earlier = Acquisition.from_json(scan.description), Acquisition.from_json(found.scan.description)
    warnings = []
    if (then := _model_of(found.measurements)) is not None and then[2] != model.digest:
        warnings.append(
            f"Another model: {model.name} {model.version} now, {then[0]} {then[1]} for the earlier scan. The change "
            "may come from the models alone: do not rely on it before one model has analysed both."
        )
    if now.other_scanner(earlier):
        warnings.append(f"Another scanner: {now.scanner} now, {earlier.scanner} for the earlier scan. {_MANY_SCANNERS}")
    elif difference := now.device_difference(earlier):
        what = "Another scanner of the same model" if now.model and earlier.model else "Another scanner"
        warnings.append(f"{what}: {now.scanner}, another {difference} than for the earlier scan. {_MANY_SCANNERS}")
    if differences := now.protocol_differences(earlier):
        warnings.append(f"Another protocol: {'; '.join(differences)}. This alone may change the volume.")
    if is_partial(found.measurements.get("flags") or ()):
        warnings.append("The earlier series may not have covered the whole brain: its volume may be that of a part.")
    return tuple(warnings)


def _model_of(measurements: Mapping[str, Any]) -> tuple[str, str, str] | None:
    model = measurements.get("model") or {}
    if not {"name", "version", "digest"} <= set(model):
        return None
    return _ascii(model["name"]), _ascii(model["version"]), str(model["digest"])


def _ascii(text: Any) -> str:
    return str(text).encode("ascii", "replace").decode()
