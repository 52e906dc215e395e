"""`wmh-node cohort add | list | show | pause | resume | export`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydicom.datadict import tag_for_keyword

from db.cohorts import Cohort, CohortItem, CohortRules, CohortState, CohortTable, ItemState, NewItem, Way
from db.engine import open_database
from db.measured import usable_part
from dicom_node.cli.account import ByOption, account
from dicom_node.cli.context import ConfigOption, JsonOption, exit_codes, out, print_json, settings_or_exit
from dicom_node.cli.jobs import require_schema
from dicom_node.deliver.send.association import Call, Timeouts
from dicom_node.deliver.stow import WebCall
from dicom_node.node.destinations import Destination, WebDestination
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.settings import Settings
from dicom_node.retrieve.archive import Archive
from dicom_node.retrieve.study_list import read_studies
from dicom_node.retrieve.web_archive import WebArchive

app = typer.Typer(help="Fetch studies of an archive one after the other, behind the live work.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a cohort, as `cohort list` shows it.")]
_HOURS: Final = re.compile(r"([01]?\d|2[0-3])-([01]?\d|2[0-3])")
_SHOWN: Final = 20
_WAYS: Final = {Way.MOVE: "C-MOVE", Way.GET: "C-GET", Way.WEB: "DICOMweb"}
_MEASURED: Final = (
    "wmh_volume_ml", "periventricular_volume_ml", "deep_volume_ml", "lesion_count", "uncertainty_index",
    "review_recommended", "reliability",
)  # fmt: skip
_ADDED: Final = (
    "cohort_state", "cohort_reason", "study_instance_uid", "instances_expected", "series_instance_uid", "job",
    "job_state", "job_reason", "withdrawn", *_MEASURED,
)  # fmt: skip


@contextmanager
def _opened(config: Path | None) -> Iterator[tuple[Settings, CohortTable]]:
    settings = settings_or_exit(config)
    with exit_codes():
        require_schema(settings.database_url)
        with closing(open_database(settings.database_url)) as database:
            yield settings, CohortTable(database)


@app.command()
def add(
    source: Annotated[str, typer.Option("--from", metavar="NAME", help="Destination of the settings to ask.")],
    studies: Annotated[
        Path | None, typer.Argument(metavar="[CSV]", help="List with a column StudyInstanceUID or AccessionNumber.")
    ] = None,
    query: Annotated[
        list[str] | None,
        typer.Option("--query", metavar="KEYWORD=VALUE", help="Ask the archive for its studies; may be repeated."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the cohort; default: of the list, or today's date.")
    ] = None,
    move: Annotated[
        bool, typer.Option("--move", help="Have a DICOM destination send to our port (C-MOVE): the default there.")
    ] = False,
    get: Annotated[
        bool, typer.Option("--get", help="Fetch from a DICOM destination by C-GET, which needs no port of ours.")
    ] = False,
    web: Annotated[
        bool, typer.Option("--web", help="Fetch from a web destination (QIDO-RS, WADO-RS): the default there.")
    ] = False,
    per_hour: Annotated[int | None, typer.Option("--per-hour", min=1, help="At most so many studies an hour.")] = None,
    hours: Annotated[
        str | None, typer.Option("--hours", metavar="20-6", help="Only between these hours of the day, local time.")
    ] = None,
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a cohort: the studies of a list, or those that an archive finds. The role `deliver` fetches them one after
    the other while no job waits, and each is done when the receiver has every instance that the archive lists.
    """
    with _opened(config) as (settings, cohorts):
        if (studies is None) == (not query):
            raise ConfigurationError("expected a list (CSV) or --query KEYWORD=VALUE, one of them")
        way, archive = _archive(settings, source, {Way.MOVE: move, Way.GET: get, Way.WEB: web})
        if studies is not None:
            items = read_studies(studies.read_bytes(), studies.name)
        else:
            found = archive.studies(_matching(query or []))
            items = [
                NewItem(line, {"StudyInstanceUID": uid, "AccessionNumber": number}, uid, number or None)
                for line, (uid, number) in enumerate(found, start=1)
            ]
        if not items:
            raise ConfigurationError(
                f"{source} finds no study for this query: expected one or more. Look at the keys and their form (dates "
                "as 20240101-20240331), and whether it lets our AE title find these studies"
            )
        default = f"query-{date.today().isoformat()}" if studies is None else studies.stem
        rules = CohortRules(per_hour, *_hours(hours))
        added = cohorts.add(name or default, source, rules, items, by or account(), way)
    _print([added], as_json)


@app.command("list")
def list_cohorts(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List cohorts: where from, state, and how many studies are waiting, done, failed."""
    with _opened(config) as (_settings, cohorts):
        found = cohorts.list()
    _print(found, as_json)


@app.command()
def show(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show a cohort, and the reason of each study that did not arrive."""
    with _opened(config) as (_settings, cohorts):
        cohort, items = cohorts.get(name), cohorts.items(name)
    troubled = [item for item in items if item.reason is not None and item.state is not ItemState.DONE]
    if as_json:
        rows = [
            {"row": item.line, "state": item.state, "attempts": item.attempts, "reason": item.reason} for item in items
        ]
        print_json({**_plain(cohort), "studies": rows})
        return
    _print([cohort], False)
    for item in troubled[:_SHOWN]:
        out.print(f"  row {item.line}: {item.state}, attempt {item.attempts}: {item.reason}", markup=False)
    if len(troubled) > _SHOWN:
        out.print(f"  and {len(troubled) - _SHOWN} more: --json has all")


@app.command()
def pause(name: NameArgument, by: ByOption = None, config: ConfigOption = None) -> None:
    """Begin no further study of a cohort; one that is being fetched is finished."""
    with _opened(config) as (_settings, cohorts):
        cohort = cohorts.set_state(name, CohortState.PAUSED, by or account())
    _print([cohort], False)


@app.command()
def resume(
    name: NameArgument,
    failed: Annotated[bool, typer.Option("--failed", help="Also try the studies again that failed.")] = False,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Go on with a cohort that was paused."""
    with _opened(config) as (_settings, cohorts):
        cohort = cohorts.set_state(name, CohortState.ACTIVE, by or account())
        if failed:
            cohorts.try_again(name, by or account())
            cohort = cohorts.get(name)
    _print([cohort], False)


@app.command()
def export(
    name: NameArgument,
    to: Annotated[Path, typer.Option("--out", metavar="CSV", help="The file to write.")],
    config: ConfigOption = None,
) -> None:
    """Write every row of the list with what came of it: also the rows that failed, with the reason. A study with
    several analysed series has a row for each.
    """
    with _opened(config) as (_settings, cohorts):
        items = cohorts.items(name)
        found = cohorts.results(items)
        rows = [row for item in items for row in _rows(item, found.get(item.study_instance_uid or "", []))]
        columns = [*dict.fromkeys(key for item in items for key in _given(item)), *_ADDED]
        with to.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
    studies = f"{len(items)} {'study' if len(items) == 1 else 'studies'}"
    out.print(f"{studies}, {len(rows)} {'row' if len(rows) == 1 else 'rows'}: {to}", markup=False)


def _given(item: CohortItem) -> dict[str, str]:
    """The columns of the list; one with the name of an added column keeps its values under another name."""
    return {f"list_{key}" if key in _ADDED else key: value for key, value in item.given.items()}


def _rows(item: CohortItem, jobs: Sequence[Any]) -> list[dict[str, Any]]:
    base = {
        **_given(item),
        "cohort_state": item.state.value,
        "cohort_reason": item.reason or "",
        "study_instance_uid": item.study_instance_uid or "",
        "instances_expected": sum(map(len, (item.expected or {}).values())) or "",
    }
    if not jobs:
        return [base]
    found = []
    for job in jobs:
        # A number that a person took back, or that is not reliable, is in no list.
        measured = usable_part(job.measurements or {}) if job.withdrawn_at is None else {}
        numbers = {key: measured.get(key, "") for key in _MEASURED}
        about = {"series_instance_uid": job.series_instance_uid, "job": job.id, "job_state": job.state}
        words = {"job_reason": job.reason or "", "withdrawn": job.withdrawn_reason or ""}
        found.append({**base, **about, **words, **numbers})
    return found


def _archive(settings: Settings, name: str, asked: Mapping[Way, bool]) -> tuple[Way, Archive | WebArchive]:
    """How studies come from a destination, and the archive to ask for its list."""
    destination = settings.destination(name)
    if not isinstance(destination, Destination | WebDestination):
        known = [one.name for one in settings.destinations if isinstance(one, Destination | WebDestination)]
        raise ConfigurationError(
            f"--from: expected a DICOM or web destination of the settings ({', '.join(known) or 'none'}), got {name!r}"
        )
    possible = (Way.MOVE, Way.GET) if isinstance(destination, Destination) else (Way.WEB,)
    ways = [way for way, is_asked in asked.items() if is_asked] or [possible[0]]
    if len(ways) > 1 or ways[0] not in possible:
        words = " or ".join(f"--{way}" for way in possible)
        raise ConfigurationError(f"expected {words} with destination {name}, got --{' --'.join(ways)}")
    tls = settings.client_tls(destination)
    if isinstance(destination, WebDestination):
        return ways[0], WebArchive(WebCall(destination, tls))
    return ways[0], Archive(Call(destination, settings.ae_title, Timeouts(), tls))


def _matching(query: Sequence[str]) -> dict[int, str]:
    found: dict[int, str] = {}
    for part in query:
        keyword, separator, value = part.partition("=")
        tag = tag_for_keyword(keyword)
        if tag is None or not separator or not value.isascii():
            raise ConfigurationError(f"--query: expected KEYWORD=VALUE with a DICOM keyword and ASCII, got {part!r}")
        found[int(tag)] = value
    return found


def _hours(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    match = _HOURS.fullmatch(text)
    if match is None or match[1] == match[2]:
        raise ConfigurationError(f"--hours: expected two different hours of the day such as 20-6, got {text!r}")
    return int(match[1]), int(match[2])


def _plain(cohort: Cohort) -> dict[str, Any]:
    rules = cohort.rules
    window = None if rules.from_hour is None else f"{rules.from_hour}-{rules.until_hour}"
    return {
        "name": cohort.name, "from": cohort.source, "way": cohort.way, "state": cohort.state,
        "per_hour": rules.per_hour, "hours": window,
        "created_at": cohort.created_at.isoformat(), "created_by": cohort.created_by, **cohort.counts,
    }  # fmt: skip


def _print(cohorts: Sequence[Cohort], as_json: bool) -> None:
    if as_json:
        print_json([_plain(cohort) for cohort in cohorts])
        return
    for cohort in cohorts:
        plain = _plain(cohort)
        limits = "".join(
            [
                f", at most {plain['per_hour']} an hour" if plain["per_hour"] else "",
                f", only {plain['hours']} o'clock" if plain["hours"] else "",
            ]
        )
        counts = ", ".join(f"{count} {state}" for state, count in cohort.counts.items())
        out.print(
            f"{cohort.name}: {cohort.state}, from {cohort.source} ({_WAYS[cohort.way]}){limits}; {counts}", markup=False
        )
    if not cohorts:
        out.print("no cohorts: `wmh-node cohort add` makes one")
