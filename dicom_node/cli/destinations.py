"""`wmh-node destinations list | test`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer
from pydicom.uid import UID
from rich.text import Text

from db.deliveries import DeliveryTable
from db.engine import open_database
from db.engine.schema_version import check
from db.overview import overview
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
from dicom_node.deliver.look import look_at, open_warning, tested_with
from dicom_node.deliver.send.association import Call, Timeouts
from dicom_node.deliver.send.result_classes import remedy
from dicom_node.deliver.trial import TriedContext, contexts_of_files, contexts_of_profile, try_contexts
from dicom_node.node.destinations import (
    AnyDestination,
    Destination,
    FhirDestination,
    MllpDestination,
    WebDestination,
    did_you_mean,
    kind_of,
)
from dicom_node.node.errors import DeliveryError
from dicom_node.node.settings import Settings

app = typer.Typer(help="Show where results go, and test what a destination takes.", no_args_is_help=True)


@app.command("list")
def list_destinations(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List destinations: address, proof, profile, and their deliveries by state."""
    settings = settings_or_exit(config)
    with exit_codes():
        counts = _counts(settings)
    rows = [_plain(destination, counts.get(destination.name, {})) for destination in settings.destinations]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        states = ", ".join(f"{count} {state}" for state, count in row["deliveries"].items()) or "no deliveries yet"
        proof = f"proof: {row['proof']}" if row["proof"] else "no proof asked for"
        out.print(f"{row['form']}  {proof}; {states}", markup=False)
    if not rows:
        out.print("no destinations: set WMH_NODE_DESTINATIONS to send results to a PACS")


@app.command()
def test(
    name: Annotated[str, typer.Argument(help="Name of a destination, as `destinations list` shows it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Call a destination and list what it does not accept of the object classes and transfer syntaxes of its newest
    result set (before the first: of its profile), and the proof that it promises. Nothing is sent.

    Exit code 1: it does not answer, or does not accept everything.
    """
    settings = settings_or_exit(config)
    destination = settings.destination(name)
    if destination is None:
        known = [destination.name for destination in settings.destinations]
        near = did_you_mean(name, known) or f"; there are: {', '.join(known) or 'none'}"
        complain(f"no destination {name!r} in the settings{near}")
        raise typer.Exit(ExitCode.USAGE)
    with exit_codes():
        result = (
            _test(settings, destination) if isinstance(destination, Destination) else _test_other(settings, destination)
        )
    if as_json:
        print_json(result)
    else:
        _print(result)
    if result["problem"] is not None:
        raise typer.Exit(ExitCode.FAILED)


def _test(settings: Settings, destination: Destination) -> dict[str, Any]:
    files = _newest_files(settings, destination.name)
    wanted = contexts_of_files([settings.storage / file for file in files]) or contexts_of_profile(destination)
    result: dict[str, Any] = {
        "destination": str(destination),
        "tested_with": "the newest result set" if files else "the objects of its profile",
        "contexts": [],
        "problem": None,
    }
    call = Call(destination, settings.ae_title, Timeouts(), settings.client_tls(destination))
    try:
        tried = try_contexts(call, destination, wanted)
    except DeliveryError as error:
        return {**result, "problem": str(error)}
    result["contexts"] = [
        {**asdict(context), "transfer_syntax": UID(context.transfer_syntax_uid).name} for context in tried
    ]
    if missing := [context for context in tried if not context.accepted]:
        result["problem"] = _missing_words(missing, destination)
    return result


def _missing_words(missing: list[TriedContext], destination: Destination) -> str:
    takes_no = ", ".join(f"{context.words} in {UID(context.transfer_syntax_uid).name}" for context in missing)
    todo = remedy((context.sop_class_uid for context in missing), destination.options)
    return f"it accepts no {takes_no}: {todo or 'allow it there for this node'}"


def _test_other(settings: Settings, destination: WebDestination | FhirDestination | MllpDestination) -> dict[str, Any]:
    result: dict[str, Any] = {
        "destination": str(destination),
        "tested_with": tested_with(destination),
        "contexts": [],
        "problem": None,
    }
    if isinstance(destination, MllpDestination) and destination.is_open:
        result["warning"] = open_warning(destination).strip()
    try:
        look_at(destination, settings.client_tls(destination))
    except DeliveryError as error:
        result["problem"] = str(error)
    return result


def _print(result: dict[str, Any]) -> None:
    out.print(f"{result['destination']}, tested with {result['tested_with']}", markup=False)
    for context in result["contexts"]:
        mark = Text("ok     ", style="green") if context["accepted"] else Text("missing", style="red")
        out.print(mark.append(f"  {context['words']} in {context['transfer_syntax']}", style="none"))
    if "warning" in result:
        out.print(result["warning"], markup=False)
    if result["problem"] is not None:
        complain(result["problem"])
    else:
        out.print("it takes everything" if result["contexts"] else "it answers")


def _plain(destination: AnyDestination, deliveries: dict[str, int]) -> dict[str, Any]:
    return {
        "name": destination.name,
        "form": str(destination),
        "kind": kind_of(destination),
        "profile": destination.profile,
        "proof": destination.proof,
        "deliveries": deliveries,
    }


def _counts(settings: Settings) -> dict[str, dict[str, int]]:
    """Deliveries by destination and state; none before the node's first start."""
    if _is_new(settings.database_url):
        return {}
    found: dict[str, dict[str, int]] = {}
    with closing(open_database(settings.database_url)) as database:
        for delivery in overview(database, database.clock() - timedelta(days=1)).deliveries:
            found.setdefault(delivery.destination, {})[str(delivery.state)] = delivery.count
    return found


def _is_new(url: str) -> bool:
    """Whether there is no SQLite database yet: a question must not make one."""
    return url.startswith("sqlite") and check(url).current is None


def _newest_files(settings: Settings, name: str) -> tuple[str, ...]:
    if _is_new(settings.database_url):
        return ()
    with closing(open_database(settings.database_url)) as database:
        return DeliveryTable(database).newest_files(name)
