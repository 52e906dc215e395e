"""Review: results that recommend it, what readers say of them, and the corrections that they send."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from db.records import Job, ReviewVerdict
from db.reviews import COUNTED
from dicom_node.node.errors import NotAnalysable, ReceivingError
from dicom_node.web.answers import page, refusal, to
from dicom_node.web.page_request import PageRequest
from dicom_node.web.pages.job import job_of
from dicom_node.web.uploads import AlreadyHere

_LINES: Final = 50
_MOST_COUNTED: Final = 1000


def show(request: PageRequest) -> Response:
    """`GET /review?before=`: what waits, newest first; what was decided of late, and counts."""
    reviews = request.site.reviews
    lines = reviews.worklist(_LINES, request.number("before"))
    return page(
        request,
        "review.html",
        lines=lines,
        older=lines[-1].id if len(lines) == _LINES else None,
        open_count=reviews.count_open(_MOST_COUNTED),
        most_counted=_MOST_COUNTED,
        decided=reviews.list(20),
        counts=reviews.counts(),
        counted=COUNTED,
        feedback=request.site.feedback.list(everything=True, limit=20),
    )


def accept(request: PageRequest) -> Response:
    """`POST /jobs/{job}/accept`: the result is right as it is."""
    job = job_of(request)
    reason = request.form.get("reason", "")
    request.site.reviews.decide(job.id, ReviewVerdict.ACCEPTED, request.who, reason, seen=_seen(request))
    return _onwards(request, job)


def reject(request: PageRequest) -> Response:
    """`POST /jobs/{job}/reject`, with a reason: the result is wrong."""
    job, reason = job_of(request), request.form.get("reason", "").strip()
    if not reason:
        return refusal(request, 422, "Nothing was changed: expected a reason for the rejection, got none.")
    request.site.reviews.decide(job.id, ReviewVerdict.REJECTED, request.who, reason, seen=_seen(request))
    return _onwards(request, job)


def correct(request: PageRequest) -> Response:
    """`POST /jobs/{job}/correct`: a corrected segmentation as a file; it is matched as one that was sent."""
    job, upload, reviews = job_of(request), request.uploads.get("file"), request.site.reviews
    reviews.require_reviewable(job.id)
    if upload is None:
        return refusal(request, 422, "Nothing was stored: expected a file with a DICOM segmentation, got none.")
    try:
        request.site.uploads.store(
            upload.file, upload.size, lambda uid, sha256: reviews.note_upload(job.id, request.who, uid, sha256)
        )
    except (NotAnalysable, ReceivingError) as error:
        words = error.reason if isinstance(error, NotAnalysable) else str(error)
        return refusal(request, 422, f"Nothing was stored: {words}")
    except AlreadyHere:
        words = "This file is already here, byte for byte: nothing was stored, and the first outcome holds."
        return refusal(request, 409, words)
    return to(f"/jobs/{job.id}")


def _seen(request: PageRequest) -> int | None:
    """The newest review that the form was made with; None in a form that does not say it."""
    text = request.form.get("seen", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else None


def _onwards(request: PageRequest, job: Job) -> Response:
    """Back to where the button was: the worklist, or the job."""
    return to("/review" if request.form.get("from") == "review" else f"/jobs/{job.id}")
