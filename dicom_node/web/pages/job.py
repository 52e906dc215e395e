"""One job: its timeline, why it was rejected, its results and pictures, its deliveries; and what a person may do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from starlette.responses import Response

from db.audit import record_action
from db.browse import course_of, scanner_of
from db.errors import UnknownRow
from db.measured import is_usable, usable_part
from db.records import Job, JobState, Priority
from db.transitions import TRANSITIONS, JobAction
from db.withdrawals import RESULT_STATES
from dicom_node.node.errors import ResultError
from dicom_node.node.job_words import job_standing, withdrawal_line
from dicom_node.node.outbox import Outbox
from dicom_node.node.profiles import MESSAGE_NAMES
from dicom_node.results.common.volume_words import interval_millilitres, interval_words, millilitres
from dicom_node.results.common.words import flags_in_words
from dicom_node.results.pages.refusal_words import advice_for
from dicom_node.results.withdrawing import withdraw_results
from dicom_node.series.read.instances import analysed_instances
from dicom_node.web.answers import page, plain_mapping, refusal, to
from dicom_node.web.page_request import PageRequest
from dicom_node.web.pictures.charts import course_chart

_SHOWN_LESIONS: Final = 12
_PATIENT: Final = ("PatientName", "PatientID", "PatientBirthDate")
_MOST_REASON: Final = 500


def show(request: PageRequest) -> Response:
    """`GET /jobs/{job}`."""
    return _shown(request, job_of(request), None)


def retry(request: PageRequest) -> Response:
    """`POST /jobs/{job}/retry`."""
    job = request.site.jobs.retry(job_of(request).id, by=request.who)
    return to(f"/jobs/{job.id}")


def cancel(request: PageRequest) -> Response:
    """`POST /jobs/{job}/cancel`, with a reason."""
    why = _reason(request)
    job = request.site.jobs.cancel(job_of(request).id, by=f"{request.who}: {why}" if why else request.who)
    return to(f"/jobs/{job.id}")


def acknowledge(request: PageRequest) -> Response:
    """`POST /jobs/{job}/acknowledge`: somebody has seen that it failed."""
    request.site.jobs.acknowledge(job_of(request).id, by=request.who)
    return to("/")


def prioritise(request: PageRequest) -> Response:
    """`POST /jobs/{job}/prioritise`, with a priority and a reason: as `wmh-node jobs prioritise`."""
    wanted, why = request.form.get("priority", ""), _reason(request)
    if wanted not in list(Priority):
        return refusal(
            request, 422, f"Nothing was changed: expected one of {', '.join(Priority)}, got another priority."
        )
    if not why:
        return refusal(request, 422, "Nothing was changed: expected a reason, got none.")
    job = request.site.jobs.prioritise(job_of(request).id, Priority(wanted), by=request.who, reason=why)
    return to(f"/jobs/{job.id}")


def withdraw(request: PageRequest) -> Response:
    """`POST /jobs/{job}/withdraw`, with a reason: as `wmh-node results withdraw`."""
    job, why, site = job_of(request), _reason(request), request.site
    if not why:
        return refusal(request, 422, "Nothing was withdrawn: expected a reason, got none.")
    is_unsafe = request.form.get("patient_safety") == "1"
    try:
        withdraw_results(
            site.withdrawals, site.settings.storage.absolute(), job.id, request.who, why, site.database.clock(),
            patient_safety=is_unsafe,
        )  # fmt: skip
    except ResultError as error:
        return refusal(request, 409, f"Nothing was withdrawn: {error}.")
    return to(f"/jobs/{job.id}")


def hold(request: PageRequest) -> Response:
    """`POST /jobs/{job}/hold`, with a reason: no file of the study is removed, as by `wmh-node hold`."""
    study, why = _study(job_of(request)), _reason(request)
    if not why:
        return refusal(request, 422, "Nothing was held: expected a reason, got none.")
    request.site.retention.hold(study, request.who, why)
    return to(f"/jobs/{request.number('job')}")


def release(request: PageRequest) -> Response:
    """`POST /jobs/{job}/release`: the retention rules apply to the study again."""
    request.site.retention.release(_study(job_of(request)), request.who)
    return to(f"/jobs/{request.number('job')}")


def _study(job: Job) -> str:
    if job.study_instance_uid is None:
        raise UnknownRow(f"the study of job {job.id} is unknown")
    return job.study_instance_uid


def _reason(request: PageRequest) -> str:
    return request.form.get("reason", "").strip()[:_MOST_REASON]


def show_patient(request: PageRequest) -> Response:
    """`POST /jobs/{job}/patient`: who the patient is, from a stored object; each look is in the audit."""
    job = job_of(request)
    with request.site.database.write() as connection:
        words = "name, ID and birth date"
        record_action(connection, request.site.database.clock(), request.who, "look at patient", job.id, words)
    return _shown(request, job, _patient(request, job))


def job_of(request: PageRequest) -> Job:
    """The job of the path.

    Raises:
        UnknownRow: there is none.
    """
    return request.site.jobs.get(request.row("job"))


def _shown(request: PageRequest, job: Job, patient: dict[str, str] | None) -> Response:
    site = request.site
    deliveries = site.deliveries.list(job.id)
    withdrawn = withdrawal_line(job)
    standing = [
        sentence
        for sentence in job_standing(job, deliveries, site.database.clock())
        if "`wmh-node" not in sentence and sentence not in withdrawn
    ]
    course = course_of(site.database, job.id)
    folder = Outbox(site.settings.storage.absolute() / "outbox").of_job(job.id)
    objects = [] if folder is None else sorted(filter(_is_sent, folder.iterdir()))
    measured = plain_mapping(job.measurements)
    has_result = job.measurements is not None and job.state in RESULT_STATES
    return page(
        request,
        "job.html",
        job=job,
        standing=[*standing[:1], *withdrawn],
        deliveries=deliveries,
        events=_events(request, job),
        scanner=scanner_of(site.database, job.series_instance_uid),
        advice=advice_for(job.code or "") if job.state is JobState.REJECTED else None,
        measured=measured,
        numbers=_numbers(measured),
        notes=flags_in_words(map(str, measured.get("flags") or [])),
        lesions=list(measured.get("lesions") or [])[:_SHOWN_LESIONS],
        more_lesions=max(0, len(measured.get("lesions") or []) - _SHOWN_LESIONS),
        objects=[(file.name, file.stat().st_size) for file in objects],
        has_pictures=any(file.name == "seg.dcm" for file in objects),
        summary_pages=len(site.slices.page_files(job.id)),
        course=course_chart(course, job.id),
        course_points=course,
        feedback=site.feedback.of_series(job.series_instance_uid),
        reviews=site.reviews.of_job(job.id),
        may_review=has_result and job.withdrawn_at is None,
        may_withdraw=has_result and job.withdrawn_at is None,
        hold=next((hold for hold in site.retention.holds() if hold.study_instance_uid == job.study_instance_uid), None),
        patient=patient,
        may_retry=request.site.jobs.of_series(job.series_instance_uid)[-1].id == job.id
        and job.state in _from(JobAction.RETRY),
        other_priorities=[one for one in Priority if one is not job.priority] if job.state is JobState.QUEUED else [],
        may_cancel=job.state in _from(JobAction.CANCEL),
    )


def _is_sent(file: Path) -> bool:
    """An object, or a report to a system without DICOM."""
    return file.suffix == ".dcm" or file.name in MESSAGE_NAMES.values()


def _from(action: JobAction) -> frozenset[JobState | None]:
    return frozenset(TRANSITIONS[action])


def _events(request: PageRequest, job: Job) -> list[tuple[Any, str, str, float]]:
    """(time, what, detail, seconds after the line before)."""
    found, before = [], None
    for event in request.site.jobs.events(job.id):
        found.append((event.at, event.what, event.detail, (event.at - (before or event.at)).total_seconds()))
        before = event.at
    return found


def _range(measured: Mapping[str, Any], key: str) -> str:
    ends = measured.get(key)
    return f"range {interval_millilitres(*ends)}" if isinstance(ends, list) else ""


# Name, key of measurements.json, how its value is written, words beside it.
_ROWS: Final[tuple[tuple[str, str, Callable[[float], str], Callable[[Mapping[str, Any]], str]], ...]] = (
    ("WMH volume", "wmh_volume_ml", millilitres, interval_words),
    ("periventricular", "periventricular_volume_ml", millilitres, partial(_range, key="periventricular_interval_ml")),
    ("deep", "deep_volume_ml", millilitres, partial(_range, key="deep_interval_ml")),
    ("lesions", "lesion_count", "{:.0f}".format, lambda _: ""),
    ("brain volume", "brain_volume_ml", millilitres, lambda _: ""),
    ("ventricle volume", "ventricle_volume_ml", millilitres, lambda _: ""),
    ("uncertainty index", "uncertainty_index", "{:.3f}".format, lambda _: ""),
)


def _numbers(measured: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(name, value with unit, interval) of what was measured; without a value the last one is words."""
    found = [] if is_usable(measured) else [("WMH volume", "", "not reliable: no volume is given")]
    shown = usable_part(measured)
    for name, key, written, beside in _ROWS:
        value = shown.get(key)
        if isinstance(value, int | float):
            found.append((name, written(value), beside(shown)))
    extent = plain_mapping(measured.get("extent_mm"))
    if extent:
        near, deep = (float(extent.get(name) or 0) for name in ("periventricular", "deep"))
        sizes = f"{near:.0f} mm from the ventricles, longest deep lesion {deep:.0f} mm"
        found.append(("extent in a slice", "", sizes))
    fazekas = plain_mapping(measured.get("fazekas"))
    if fazekas:
        grades = f"periventricular {fazekas.get('periventricular')}, deep {fazekas.get('deep')}"
        found.append(("Fazekas, derived from sizes", "", grades))
    return found


def _patient(request: PageRequest, job: Job) -> dict[str, str]:
    """Who the patient is; empty when no stored file can be read."""
    stored, storage = request.site.inbox.instances_of_job(job), request.site.settings.storage.absolute()
    if not stored:
        return {}
    try:
        # The file that the analysis reads: after a correction of the patient, the corrected one.
        path = storage / analysed_instances(stored, storage)[0].path
        header = dcmread(path, stop_before_pixels=True, specific_tags=list(_PATIENT))
        return {name: str(header.get(name, "")) for name in _PATIENT}
    except (OSError, InvalidDicomError, ValueError, TypeError, AttributeError, NotImplementedError):
        return {}
