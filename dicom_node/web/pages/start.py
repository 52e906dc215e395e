"""The start page: one sentence of state, what needs a person, and what happened of late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.responses import Response

from db.records import DeliveryState, JobState, Overview
from dicom_node.node.job_words import job_standing
from dicom_node.web.answers import page, since
from dicom_node.web.node_look import MOST_TO_REVIEW, HealthLine, NodeLook
from dicom_node.web.page_request import PageRequest
from dicom_node.web.pictures.charts import hours_chart

_OLD_DELIVERY: Final = timedelta(hours=1)
# Over a weekend nothing may come; two working days without an image are worth a look.
_NOTHING_CAME: Final = timedelta(days=2)


@dataclass(frozen=True)
class Trouble:
    """Something that needs a person.

    Attributes:
        title: what it is about.
        sentences: what happened, and what to do.
        job: the job that a button retries; None where no button of ours mends it.
        link: where to look.
    """

    title: str
    sentences: Sequence[str]
    job: int | None = None
    link: str | None = None


def show(request: PageRequest) -> Response:
    """`GET /`."""
    site = request.site
    now = site.database.clock()
    look = site.node_look.value()
    found = look.found
    troubles = [*_of_jobs(look, now), *_of_health(look.health), *_nothing_came(found)]
    return page(
        request,
        "start.html",
        sentence=state_sentence(found, len(site.settings.destinations), len(troubles)),
        level="critical"
        if any(check.level == "critical" for check in look.health)
        else "warning"
        if troubles
        else "ok",
        troubles=troubles,
        figures=look.week,
        chart=hours_chart(look.day.by_hour),
        to_review=look.to_review,
        most_to_review=MOST_TO_REVIEW,
        last_image=since(found.last_received_at, now),
        last_result=since(found.last_result_at, now),
        most=max((count for _, count in look.week.by_scanner), default=1),
    )


def state_sentence(found: Overview, destinations: int, troubles: int) -> str:
    """The node in one sentence: destinations, what is under way, what needs a person."""
    late = {
        delivery.destination
        for delivery in found.deliveries
        if delivery.state is DeliveryState.PENDING and found.at - delivery.oldest_at > _OLD_DELIVERY
    }
    counts = {job.state: job.count for job in found.jobs}
    parts = [_destinations(destinations, len(late))]
    for state, words in (
        (JobState.RUNNING, "being analysed"),
        (JobState.QUEUED, "waiting for the worker"),
        (JobState.DELIVERING, "being sent"),
    ):
        if counts.get(state):
            parts.append(f"{counts[state]} series {'is' if counts[state] == 1 else 'are'} {words}")
    if found.waiting_series:
        parts.append(f"{found.waiting_series} series still arriving")
    needs = (
        "nothing needs you" if not troubles else f"{troubles} {'thing needs' if troubles == 1 else 'things need'} you"
    )
    return "; ".join([*parts, needs]) + "."


def _destinations(count: int, late: int) -> str:
    if not count:
        return "No destination is configured, so results stay on this node"
    if late:
        return f"{late} of {count} destinations {'takes' if late == 1 else 'take'} no results now"
    return "The destination takes results" if count == 1 else f"All {count} destinations take results"


def _of_jobs(look: NodeLook, now: datetime) -> Iterator[Trouble]:
    for job, deliveries in look.failed:
        standing = job_standing(job, deliveries, now)
        words = [sentence for sentence in standing if "`wmh-node" not in sentence]
        yield Trouble(f"Job {job.id} failed", words, job.id, f"/jobs/{job.id}")


def _of_health(lines: Sequence[HealthLine]) -> Iterator[Trouble]:
    for line in lines:
        if line.level != "ok" and line.name != "failures":
            yield Trouble(line.name.capitalize(), [line.words[:1].upper() + line.words[1:] + "."])


def _nothing_came(found: Overview) -> Iterator[Trouble]:
    if found.last_received_at is not None and found.at - found.last_received_at > _NOTHING_CAME:
        days = (found.at - found.last_received_at).days
        words = f"No image has arrived for {days} days. Do the scanners, or the PACS, still send to this node?"
        yield Trouble("Nothing arrives", [words], link="/series")
