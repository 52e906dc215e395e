"""`wmh-node notifications list | test`."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from db.alarms import AlarmTable
from db.engine import open_database
from db.notifications import NotificationTable
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
from dicom_node.node.errors import WmhNodeError
from dicom_node.node.job_words import shown_time
from dicom_node.notify.notifier import channels_of, test_message

app = typer.Typer(help="Show what is wrong and who was informed; test the channels.", no_args_is_help=True)


@app.command("list")
def list_notifications(
    limit: Annotated[int, typer.Option("--limit", min=1, help="Largest number of messages, newest first.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the conditions that hold now, and the last messages about them."""
    settings = settings_or_exit(config)
    with exit_codes(), closing(open_database(settings.database_url)) as database:
        require_schema(settings.database_url)
        alarms, messages = AlarmTable(database).list(), NotificationTable(database).list(limit)
    if as_json:
        print_json(
            {
                "conditions": [
                    {
                        "condition": alarm.key, "severity": alarm.severity, "words": alarm.words, "since": alarm.since,
                        "gone_at": alarm.gone_at, "announced_at": alarm.announced_at,
                    }
                    for alarm in alarms
                ],
                "messages": [
                    {
                        "id": message.id, "event_id": message.event_id, "channel": message.channel,
                        "severity": message.severity, "state": message.state,
                        "attempts": message.attempts, "reason": message.reason,
                        "created_at": message.created_at, "settled_at": message.settled_at,
                        "conditions": [news.as_json() for news in message.news],
                    }
                    for message in messages
                ],
            }
        )  # fmt: skip
        return
    for alarm in alarms:
        heard = f"announced {shown_time(alarm.announced_at)}" if alarm.announced_at else "not announced yet"
        over = ", gone now" if alarm.gone_at else ""
        since = shown_time(alarm.since)
        out.print(f"{alarm.severity}  {alarm.key} since {since} ({heard}{over}): {alarm.words}", markup=False)
    if not alarms:
        out.print("no condition holds")
    for message in messages:
        keys = ", ".join(f"{news.key} {news.what}" for news in message.news)
        why = f": {message.reason}" if message.reason else ""
        state = f"{message.state.replace('_', ' ')}, {message.attempts} attempts"
        out.print(f"{shown_time(message.created_at)}  {message.channel}  {state}  {keys}{why}", markup=False)


@app.command()
def test(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Send a test message by every channel now, and say what each answered; exit 1 when one did not take it."""
    settings = settings_or_exit(config)
    channels = channels_of(settings)
    if not channels:
        complain(
            "no channel is set: set WMH_NODE_MAIL_SERVER and WMH_NODE_MAIL_TO, WMH_NODE_WEBHOOK_URL or "
            "WMH_NODE_NOTIFY_COMMAND"
        )
        raise typer.Exit(ExitCode.USAGE)
    message, found = test_message(settings), []
    for channel in channels:
        try:
            words = channel.send(message) or f"taken: {channel.check()}"
            found.append({"channel": channel.name, "ok": True, "detail": words})
        except WmhNodeError as error:
            found.append({"channel": channel.name, "ok": False, "detail": str(error)})
    if as_json:
        print_json(found)
    else:
        for finding in found:
            out.print("[green]ok[/]    " if finding["ok"] else "[red]no[/]    ", end="")
            out.print(f"{finding['channel']}: {finding['detail']}", markup=False)
    if not all(finding["ok"] for finding in found):
        raise typer.Exit(ExitCode.FAILED)
