"""`wmh-node purge` and `wmh-node hold`: what leaves the disk, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from db.engine import open_database
from db.retention import Hold, Kept, KeptCount, RetentionTable, Subject
from dicom_node.cli.account import ByOption, account
from dicom_node.cli.context import (
    ConfigOption,
    ExitCode,
    JsonOption,
    complain,
    exit_codes,
    out,
    print_json,
    settings_or_exit,
)
from dicom_node.cli.jobs import require_schema
from dicom_node.node.job_words import shown_time
from dicom_node.node.settings import Settings
from dicom_node.node.storage import require_storage
from dicom_node.upkeep.disk.purge import EARLIEST, Plan, Purge, purge_of

_WHY: Final = {
    Subject.RETURNED: "the node's own results that came back",
    Subject.REJECTED: "rejected",
    Subject.DONE: "done, every destination has it",
    Subject.CANCELLED: "cancelled",
    Subject.FAILED: "failed and acknowledged",
    Subject.FEEDBACK: "a segmentation that was sent",
}
_STAYS: Final = {
    Kept.NOT_PROVEN: "no destination has confirmed their results",
    Kept.NOT_ACKNOWLEDGED: "they failed: look at them, then `wmh-node jobs acknowledge`",
    Kept.HELD: "their study is held: `wmh-node hold` lists studies",
    Kept.CORRECTED: "a correction was drawn on them: `wmh-node feedback list`",
}


def purge(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go, why and how much; change nothing.")
    ] = False,
    now: Annotated[bool, typer.Option("--now", help="Remove it now, also with PURGE=false.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove files that the retention rules allow to go, or show what they would remove. Rows are kept.

    `wmh-node serve` does it by itself. Nothing goes that a job needs, or that is not at every destination.
    """
    if dry_run == now:
        complain("expected either --dry-run or --now")
        raise typer.Exit(ExitCode.USAGE)
    settings = settings_or_exit(config)
    with _table(settings) as table:
        require_storage(settings.storage, settings.database_url)
        work = purge_of(settings, table)
        if dry_run:
            _show(list(work.plans()), table.kept(table.before(EARLIEST)), table.now, as_json)
        else:
            _remove(work, table, as_json)


def hold(
    study: Annotated[
        str | None, typer.Argument(metavar="STUDY", help="StudyInstanceUID; without one, list what is held.")
    ] = None,
    release: Annotated[bool, typer.Option("--release", help="Let the rules apply to the study again.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why it is held.")] = "",
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep every file of a study, whatever the retention rules; `--release` ends that."""
    if study is None and release:
        complain("--release: expected a StudyInstanceUID with it")
        raise typer.Exit(ExitCode.USAGE)
    with _table(settings_or_exit(config)) as table:
        if study is None:
            held = table.holds()
        elif release:
            table.release(study, by or account())
            held = []
        else:
            held = [table.hold(study, by or account(), reason)]
    if as_json:
        print_json([_plain_hold(hold) for hold in held])
    elif study is not None and release:
        out.print(f"study {study} is released", markup=False)
    else:
        for hold in held:
            why = f": {hold.reason}" if hold.reason else ""
            out.print(
                f"study {hold.study_instance_uid} is held since {shown_time(hold.at)} by {hold.who}{why}", markup=False
            )
        if not held:
            out.print("no study is held")


@contextmanager
def _table(settings: Settings) -> Iterator[RetentionTable]:
    with exit_codes(), closing(open_database(settings.database_url)) as database:
        require_schema(settings.database_url)
        yield RetentionTable(database)


def _show(plans: list[Plan], kept: list[KeptCount], now: datetime, as_json: bool) -> None:
    if as_json:
        print_json({
            "series": [_plain_plan(plan) for plan in plans],
            "bytes": sum(plan.bytes for plan in plans),
            "kept": [{"why": str(entry.why), "series": entry.series, "bytes": entry.inbox_bytes} for entry in kept],
        })  # fmt: skip
        return
    for plan in plans:
        found = plan.candidate
        name = f"series {found.series_instance_uid}" + (f" (job {found.job_id})" if found.job_id else "")
        days = (now - found.since).total_seconds() / 86_400
        rule = "the disk is above DISK_LOW" if plan.early else plan.rule.setting
        out.print(
            f"{name}: {_WHY[found.subject]}, {days:.1f} days ago, {rule}: {shown_bytes(plan.bytes)}", markup=False
        )
    out.print(f"{len(plans)} series would go, {shown_bytes(sum(plan.bytes for plan in plans))}", markup=False)
    for entry in kept:
        out.print(f"{entry.series} series stay, {shown_bytes(entry.inbox_bytes)}: {_STAYS[entry.why]}", markup=False)


def _remove(work: Purge, table: RetentionTable, as_json: bool) -> None:
    work.retry_set_aside()
    removed = 0
    while done := work.step():
        removed += done
    aside = table.count_set_aside()
    if as_json:
        print_json({"series": removed, "set_aside": aside})
    else:
        out.print(f"files of {removed} series removed", markup=False)
    if aside:
        complain(f"files of {aside} series cannot be deleted: the log names them; correct their rights, run this again")
        raise typer.Exit(ExitCode.FAILED)


def shown_bytes(count: int) -> str:
    """`12.3 MB`."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _plain_plan(plan: Plan) -> dict[str, Any]:
    found = plan.candidate
    return {
        "series_instance_uid": found.series_instance_uid,
        "job": found.job_id,
        "rule": str(found.subject),
        "setting": plan.rule.setting,
        "early": plan.early,
        "since": found.since.isoformat(),
        "bytes": plan.bytes,
    }


def _plain_hold(hold: Hold) -> dict[str, Any]:
    return {**asdict(hold), "at": hold.at.isoformat()}
