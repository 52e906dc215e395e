"""The slice viewer: our own images, with the mask on or off."""

from __future__ import annotations

from starlette.responses import Response

from db.errors import UnknownRow
from db.withdrawals import RESULT_STATES
from dicom_node.node.errors import WmhNodeError
from dicom_node.web.answers import page, plain_mapping, refusal
from dicom_node.web.page_request import PageRequest
from dicom_node.web.pages.job import job_of
from dicom_node.web.pictures.slices import page_png as drawn_page

_KEPT = {"Cache-Control": "private, max-age=600"}


def show(request: PageRequest) -> Response:
    """`GET /jobs/{job}/slices?slice=&mask=`; the look is in the audit."""
    job = job_of(request)
    try:
        found = request.site.slices.pictures(job)
    except WmhNodeError as error:
        return refusal(request, 409, f"The images cannot be shown: {error}")
    if found is None:
        return refusal(request, 404, f"Job {job.id} has no result whose images could be shown.")
    asked = request.number("slice")
    at = found.fullest if asked is None else min(max(asked - 1, 0), len(found.plain) - 1)
    request.site.looks.note(request.who, job)
    reviews = request.site.reviews.of_job(job.id)
    return page(
        request,
        "slices.html",
        job=job,
        at=at,
        count=len(found.plain),
        found=found,
        mask=request.query.get("mask") != "0",
        may_review=job.measurements is not None and job.state in RESULT_STATES and job.withdrawn_at is None,
        seen=reviews[-1].id if reviews else 0,
        reasons=plain_mapping(job.measurements).get("reasons") or [],
    )


def slice_png(request: PageRequest) -> Response:
    """`GET /jobs/{job}/slices/{slice}.png?mask=`: slices count from 1, from feet to head."""
    job, number = job_of(request), request.number("slice")
    found = request.site.slices.pictures(job)
    if found is None or number is None or not 0 < number <= len(found.plain):
        raise UnknownRow(f"job {job.id} has no such slice")
    request.site.looks.note(request.who, job)
    images = found.plain if request.query.get("mask") == "0" else found.marked
    return Response(images[number - 1], media_type="image/png", headers=_KEPT)


def page_png(request: PageRequest) -> Response:
    """`GET /jobs/{job}/pages/{page}.png`: the pages that the PACS gets."""
    job, number = job_of(request), request.number("page")
    files = request.site.slices.page_files(job.id)
    if number is None or not 0 < number <= len(files):
        raise UnknownRow(f"job {job.id} has no such page")
    request.site.looks.note(request.who, job)
    return Response(drawn_page(files[number - 1]), media_type="image/png", headers=_KEPT)
