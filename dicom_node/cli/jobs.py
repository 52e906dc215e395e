"""`wmh-node jobs list | show | explain | retry | cancel | acknowledge | prioritise | audit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from db.audit import audit_entries
from db.deliveries import DeliveryTable
from db.engine import Database, open_database
from db.engine.schema_version import SchemaStatus, check
from db.engine.url import parse_url, shown
from db.errors import SchemaOutOfDate, UnknownRow
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import Delivery, Job, JobEvent, JobState, Priority
from dicom_node.cli.account import ByOption, account
from dicom_node.cli.context import (
    ConfigOption,
    ExitCode,
    JsonOption,
    complain,
    exit_codes,
    out,
    print_json,
    print_table,
    settings_or_exit,
)
from dicom_node.cli.finding import SeriesFinder
from dicom_node.node.job_words import delivery_lines, job_standing, plain, series_standing, shown_time

app = typer.Typer(help="Show the job of each series, its state and the reason for it.", no_args_is_help=True)

_COLOURS = {
    "queued": "cyan", "running": "yellow", "delivering": "blue", "done": "green",
    "rejected": "magenta", "failed": "red", "cancelled": "dim",
}  # fmt: skip


JobId = Annotated[int, typer.Argument(metavar="JOB", help="Number of the job.")]
JobIds = Annotated[list[int], typer.Argument(metavar="JOB...", help="Numbers of jobs.")]


@dataclass(frozen=True)
class _Tables:
    database: Database
    inbox: Inbox
    jobs: JobTable
    deliveries: DeliveryTable
    storage: Path
    now: datetime


@app.command("list")
def list_jobs(
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only jobs in this state; may be repeated.")
    ] = None,
    find: Annotated[
        str | None,
        typer.Option("--find", help="Only of this study or series UID, accession number, or series description."),
    ] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only series that have no job yet.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Largest number of lines, newest first.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first, and below them the series that wait for more slices or for a look."""
    states = [_state(name) for name in state] if state else None
    with _tables(config) as tables:
        finder = SeriesFinder(find, tables.inbox, tables.storage)
        found = [] if waiting else finder.keep(tables.jobs.list(states, None if find else limit), limit)
        open_series = [] if states and not waiting else finder.keep(tables.inbox.open_series())
        now = tables.now
        standing = tables.deliveries.states_of([job.id for job in found]) if as_json else {}
    if as_json:
        listed = [{**plain(job), "deliveries": standing.get(job.id, [])} for job in found]
        print_json([plain(activity) for activity in open_series] if waiting else listed)
        return
    if not waiting:
        _print_jobs(found)
    for activity in open_series:
        study = f", study {activity.study_instance_uid}"
        words = series_standing(activity, now)
        out.print(f"waiting: series {activity.series_instance_uid}{study}: {words}", markup=False)


def _print_jobs(found: Sequence[Job]) -> None:
    table = Table(box=None)
    for heading in ("job", "state", "priority", "changed", "instances", "attempts"):
        table.add_column(heading, no_wrap=True)
    table.add_column("series", overflow="fold")  # never cut: it is there to be copied
    table.add_column("reason")
    for job in found:
        table.add_row(
            str(job.id), _coloured(job), str(job.priority), shown_time(job.updated_at), str(job.instance_count),
            f"{job.attempts}/{job.max_attempts}", job.series_instance_uid, Text(job.reason or ""),
        )  # fmt: skip
    print_table(table if found else "no jobs")


@app.command()
def show(job_id: JobId, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show everything that is written about one job, with its deliveries."""
    with _tables(config) as tables:
        job = tables.jobs.get(job_id)
        deliveries = tables.deliveries.list(job_id)
    if as_json:
        print_json({**plain(job), "deliveries": [plain(delivery) for delivery in deliveries]})
        return
    table = Table(box=None, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in plain(job).items():
        if value is not None and name != "measurements":
            table.add_row(name, _coloured(job) if name == "state" else Text(str(value)))
    for name, value in (job.measurements or {}).items():
        table.add_row(f"measured {name}", Text(str(value)))
    for line in delivery_lines(deliveries):
        table.add_row("delivery", Text(line))
    out.print(table)


@app.command()
def explain(
    what: Annotated[str, typer.Argument(metavar="JOB|SERIES", help="Number of a job, or a SeriesInstanceUID.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the history of a series: received, waited, claimed, sent; and what it is waiting for now."""
    with _tables(config) as tables:
        if "." in what:
            _explain_series(tables, what, as_json)
            return
        if not what.isdecimal():
            complain(f"expected the number of a job or a SeriesInstanceUID, got {what!r}")
            raise typer.Exit(ExitCode.USAGE)
        explained = _explained(tables, tables.jobs.get(int(what)))
        if as_json:
            print_json(explained.plain())
        else:
            explained.print()


@app.command()
def retry(job_ids: JobIds, by: ByOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Try jobs again that failed, were cancelled or rejected; an existing result is only sent again."""
    _act(lambda tables, job_id: tables.jobs.retry(job_id, by or account()), job_ids, config, as_json)


@app.command()
def cancel(job_ids: JobIds, by: ByOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Cancel jobs; what is being analysed is dropped, what is not sent yet is not sent."""
    _act(lambda tables, job_id: tables.jobs.cancel(job_id, by or account()), job_ids, config, as_json)


@app.command()
def acknowledge(job_ids: JobIds, by: ByOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Note that you have seen that jobs failed: they count no longer as failures, and their files may go in time."""
    _act(lambda tables, job_id: tables.jobs.acknowledge(job_id, by or account()), job_ids, config, as_json)


@app.command()
def prioritise(
    job_ids: JobIds,
    high: Annotated[bool, typer.Option("--high", help="Before others; the default.")] = False,
    medium: Annotated[bool, typer.Option("--medium", help="In the order in which jobs came.")] = False,
    low: Annotated[bool, typer.Option("--low", help="After others.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the timeline and the audit.")] = None,
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move queued jobs in the queue: a high job goes before medium ones that have waited for less than 24 hours, a low
    one after those that come in the next 12 hours. None waits for ever."""
    given = [priority for priority, is_given in zip(Priority, (high, medium, low), strict=True) if is_given]
    if len(given) > 1:
        complain(f"expected one of --high, --medium, --low; got {len(given)} of them")
        raise typer.Exit(ExitCode.USAGE)
    priority = given[0] if given else Priority.HIGH
    _act(
        lambda tables, job_id: tables.jobs.prioritise(job_id, priority, by or account(), reason),
        job_ids,
        config,
        as_json,
    )


@app.command()
def audit(
    limit: Annotated[int, typer.Option("--limit", min=1, help="Largest number of lines, newest first.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what people did to jobs and models, and what they corrected: who, when, what."""
    with _tables(config) as tables:
        entries = audit_entries(tables.database, limit)
    if as_json:
        print_json([plain(entry) for entry in entries])
        return
    for entry in entries:
        what = entry.action if entry.job_id is None else f"{entry.action} job {entry.job_id}"
        out.print(f"{shown_time(entry.at)}  {entry.who}  {what}: {entry.detail}", markup=False)


@contextmanager
def _tables(config: Path | None) -> Iterator[_Tables]:

    settings = settings_or_exit(config)
    with exit_codes(), closing(open_database(settings.database_url)) as database:
        require_schema(settings.database_url)
        yield _Tables(
            database=database,
            inbox=Inbox(database),
            jobs=JobTable(database, settings.max_attempts),
            deliveries=DeliveryTable(database),
            storage=settings.storage.absolute(),
            now=database.clock(),
        )


def require_schema(url: str) -> None:
    """A question must not make an empty database file."""
    if url.startswith("sqlite") and (status := check(url)).current is None:
        raise no_database(url, status)


def no_database(url: str, status: SchemaStatus) -> SchemaOutOfDate:
    """What to say where nothing of ours is: mostly the shell lacks the settings that the node runs with."""
    return SchemaOutOfDate(
        f"there is no database yet at {shown(parse_url(url))} ({status}). Is that the node's database? If not, this "
        "shell lacks the node's settings: set WMH_NODE_CONFIG (or give --config) or WMH_NODE_STORAGE as for "
        "`wmh-node serve`. If it is: run `wmh-node serve` or `wmh-node db upgrade`"
    )


def _state(name: str) -> Any:

    try:
        return JobState(name)
    except ValueError:
        complain(f"--state: expected one of {', '.join(JobState)}, got {name!r}")
        raise typer.Exit(ExitCode.USAGE) from None


def _act(action: Callable[[_Tables, int], Job], job_ids: Sequence[int], config: Path | None, as_json: bool) -> None:

    with _tables(config) as tables:
        done = [action(tables, job_id) for job_id in job_ids]
    if as_json:
        print_json([plain(job) for job in done])
        return
    for job in done:
        wanted = f", {job.priority} priority" if job.state is JobState.QUEUED else ""
        out.print(f"job {job.id} is ", _coloured(job), wanted, sep="")


def _coloured(job: Job) -> Text:
    return Text(str(job.state), style=_COLOURS[str(job.state)])


# explain


@dataclass(frozen=True)
class _Explained:
    job: Job
    events: Sequence[JobEvent]
    standing: Sequence[str]
    deliveries: Sequence[Delivery]

    def plain(self) -> dict[str, Any]:

        return {
            "job": plain(self.job),
            "events": [plain(event) for event in self.events],
            "standing": self.standing,
            "deliveries": [plain(delivery) for delivery in self.deliveries],
        }

    def print(self) -> None:

        out.print(Text(f"Job {self.job.id}, series {self.job.series_instance_uid}: "), _coloured(self.job), sep="")
        before = self.events[0].at if self.events else None
        for event in self.events:  # lines, not a table: they are long, and people grep them
            after = f"+{(event.at - (before or event.at)).total_seconds():.1f} s"
            out.print(f"{shown_time(event.at)} {after:>10}  {event.what:<20} {event.detail}", markup=False)
            before = event.at
        for sentence in self.standing:
            out.print(sentence, markup=False)


def _explained(tables: _Tables, job: Job) -> _Explained:

    deliveries = tables.deliveries.list(job.id)
    standing = job_standing(job, deliveries, tables.now)
    return _Explained(job, tables.jobs.events(job.id), standing, deliveries)


def _explain_series(tables: _Tables, series_uid: str, as_json: bool) -> None:
    # Imported here: a list of jobs need not load what knows of corrections.
    from db.feedback import FeedbackTable
    from dicom_node.cli.feedback_words import explained as explained_feedback
    from dicom_node.cli.feedback_words import plain_feedback

    explained = [_explained(tables, job) for job in tables.jobs.of_series(series_uid)]
    waiting = [activity for activity in tables.inbox.open_series() if activity.series_instance_uid == series_uid]
    feedback = FeedbackTable(tables.database).of_series(series_uid)
    if not explained and not waiting and not feedback:
        raise UnknownRow(
            f"nothing of series {series_uid} was received: expected a SeriesInstanceUID that a peer has sent; "
            "`wmh-node jobs list --find TEXT` finds a series by study, accession number or description"
        )
    if as_json:
        print_json(
            {
                "jobs": [explanation.plain() for explanation in explained],
                "waiting": [plain(activity) for activity in waiting],
                "feedback": [plain_feedback(row) for row in feedback],
            }
        )
        return
    for explanation in explained:
        explanation.print()
    for activity in waiting:
        out.print(f"Series {series_uid}, not decided yet: {series_standing(activity, tables.now)}", markup=False)
    for correction in feedback:
        out.print(explained_feedback(correction), markup=False)
