"""`wmh-node config show | check`."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from db.engine.schema_version import check as check_schema
from db.errors import DatabaseError
from dicom_node.cli.context import (
    ConfigOption,
    ExitCode,
    JsonOption,
    out,
    print_json,
    print_table,
    settings_or_exit,
)
from dicom_node.cli.network_check import Said, network_checks
from dicom_node.cli.tls_check import tls_checks
from dicom_node.deliver.look import look_at
from dicom_node.deliver.send import echo, rejected_classes
from dicom_node.deliver.send.result_classes import classes_of, remedy, words_of_class
from dicom_node.models.choice import choose_model
from dicom_node.node.destinations import AnyDestination, Destination
from dicom_node.node.errors import ConfigurationError, WmhNodeError
from dicom_node.node.objects.opening import object_store_of
from dicom_node.node.objects.shared import SharedStorage
from dicom_node.node.settings import ENVIRONMENT_PREFIX, Settings, redacted, texts_of, unknown_variables
from dicom_node.notify.notifier import channels_of
from dicom_node.serve.only_node import receives_elsewhere
from segmentation.errors import SegmentationError
from segmentation.runtimes.choose import RuntimeChoice, why_no_gpu

app = typer.Typer(help="Show the settings and check that they work.", no_args_is_help=True)


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show every setting as it is read, and the model in use; a password in the database URL is hidden."""
    settings = settings_or_exit(config)
    in_use = _model_in_use(settings)
    if as_json:
        print_json({**redacted(settings), "model_in_use": in_use})
        return
    table = Table(box=None)
    for heading in ("variable", "value"):
        table.add_column(heading, overflow="fold")  # never cut: it is there to be copied
    for name, value in texts_of(settings).items():
        table.add_row(ENVIRONMENT_PREFIX + name.upper(), value)
    print_table(table)
    out.print(f"model in use: {in_use.get('error') or _model_words(in_use)}", markup=False)


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check what the settings name: storage, database, model, network, TLS, destinations.

    Exit 1 when something is wrong; what may be meant so is a note (`warning` in JSON), and no failure.
    """
    settings = settings_or_exit(config)
    findings = [
        *({"what": name, "ok": False, "warning": False, "detail": "unknown setting"} for name in unknown_variables()),
        _finding("storage", lambda: _check_storage(settings.storage)),
        _finding("database", lambda: _check_database(settings.database_url)),
        _finding("model", lambda: _check_model(settings)),
        _finding("device", lambda: _check_device(settings.runtime)),
        *([] if settings.object_store is None else [_finding("object store", lambda: _check_object_store(settings))]),
        *(_finding(what, look) for what, look in (*network_checks(settings), *tls_checks(settings))),
        *(
            _finding(f"destination {destination.name}", partial(check_destination, settings, destination))
            for destination in settings.destinations
        ),
        *(_finding(f"notifications by {channel.name}", channel.check) for channel in channels_of(settings)),
    ]
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            out.print(_mark(finding), end="")
            out.print(f"{finding['what']}: {finding['detail']}", markup=False)
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


def _finding(what: str, look: Any) -> dict[str, Any]:

    try:
        said = look()
    except (WmhNodeError, DatabaseError, SegmentationError, OSError) as error:
        return {"what": what, "ok": False, "warning": False, "detail": str(error)}
    said = said if isinstance(said, Said) else Said(said)
    return {"what": what, "ok": True, "warning": said.warning, "detail": said.words}


def _mark(finding: dict[str, Any]) -> str:
    if not finding["ok"]:
        return "[red]no[/]    "
    return "[yellow]note[/]  " if finding["warning"] else "[green]ok[/]    "


def _check_storage(storage: Path) -> Said:
    place = storage.absolute()
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(f"{place} is not writable for this user")
    free_gib = shutil.disk_usage(place).free / 2**30
    made = "" if storage.exists() else " (will be made)"
    words = f"{storage.absolute()}{made}, {free_gib:.1f} GiB free"
    if (where := _writable_by_all(storage.absolute())) is not None:
        advice = f"every user of this machine may change and delete what lies there: chmod o-w {where}"
        return Said(f"{words}, but {advice}", warning=True)
    return Said(words)


def _writable_by_all(storage: Path) -> Path | None:
    """The storage, something in it, or a folder above it from which every user may take it away; None: nothing."""
    inside = sorted(storage.iterdir()) if storage.is_dir() and os.access(storage, os.R_OK | os.X_OK) else []
    for place in (storage, *inside):
        if place.exists() and not place.is_symlink() and place.stat().st_mode & stat.S_IWOTH:
            return place
    for above in storage.resolve().parents:
        if above.exists() and above.stat().st_mode & stat.S_IWOTH and not above.stat().st_mode & stat.S_ISVTX:
            return above
    return None


def _check_object_store(settings: Settings) -> str:
    """Puts an object twice: a store that takes the second one would let two machines replace each other's results."""
    store = object_store_of(settings)
    assert store is not None
    key = f"config-check-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory() as folder:
        first, second, back = (Path(folder) / name for name in ("first", "second", "back"))
        first.write_text("first")
        second.write_text("second")
        try:
            if not store.put_if_absent(key, first) or store.put_if_absent(key, second) or not store.get(key, back):
                raise WmhNodeError(
                    f"{store.name} does not keep what is there (If-None-Match): expected a store that does"
                )
            if back.read_text() != "first":
                raise WmhNodeError(f"{store.name} gave other bytes back than it got")
        finally:
            store.delete(key)
    storage = settings.storage.absolute()
    if not settings.holds_copies and (elsewhere := receives_elsewhere(storage, SharedStorage(storage, store))):
        raise ConfigurationError(elsewhere)
    return f"{store.name} takes objects, keeps those that are there, and gives them back"


def _check_database(url: str) -> str:

    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return "SQLite, will be made by `wmh-node serve`"
    status = check_schema(url)
    if not status.is_current:
        raise WmhNodeError(f"the schema is not current ({status}): {status.remedy}")
    return "reachable, schema is current"


def _check_model(settings: Settings) -> str:

    choice = choose_model(settings)
    identity = choice.load().identity
    return _model_words({**asdict(identity), "why": str(choice.origin)})


def _check_device(choice: RuntimeChoice) -> Said:
    """Which device computes, and why not the GPU."""
    if choice == "openvino":
        return Said("the CPU, with OpenVINO, as the setting RUNTIME says")
    why = why_no_gpu()
    if why is None:
        return Said("the GPU, with TensorFlow (f32)")
    if choice == "tensorflow":
        return Said(f"the CPU, with TensorFlow; {why}", warning=not why.startswith("no GPU"))
    return Said(f"the CPU, with OpenVINO; {why}", warning=not why.startswith("no GPU"))


def _model_in_use(settings: Settings) -> dict[str, str]:
    """Which model results would name now, and why; or why it is unknown. This must work without a model."""
    try:
        choice = choose_model(settings)
        return {**asdict(choice.load().identity), "why": str(choice.origin)}
    except (WmhNodeError, SegmentationError) as error:
        return {"error": str(error)}


def _model_words(model: dict[str, str]) -> str:
    return f"{model['name']} {model['version']}, digest {model['digest'][:12]}, {model['why']}"


def check_destination(settings: Settings, destination: AnyDestination) -> str:
    """That it answers and accepts what it would be sent, in words.

    Raises:
        WmhNodeError: it does not, with what to do.
    """
    tls = settings.client_tls(destination)
    if not isinstance(destination, Destination):
        look_at(destination, tls)
        return f"{destination} answers"
    echo(destination, calling_ae_title=settings.ae_title, tls=tls)
    wanted = classes_of(destination.options)
    rejected = rejected_classes(destination, wanted, calling_ae_title=settings.ae_title, tls=tls)
    if rejected:
        takes_no = ", no ".join(map(words_of_class, rejected))
        todo = remedy(rejected, destination.options)
        raise WmhNodeError(f"{destination} answers C-ECHO, but accepts no {takes_no}: {todo}")
    return f"{destination} answers C-ECHO and accepts {', '.join(map(words_of_class, wanted))}"
