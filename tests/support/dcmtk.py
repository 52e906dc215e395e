"""DCMTK's programs: storescu sends, dcmqrscp is a PACS, findscu and movescu ask it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.peers import peer
from support.processes import free_port, program

PACS_AE_TITLE = "DCMTKPACS"
ASKER_AE_TITLE = "ASKER"


def storescu(files: Sequence[Path], called: str, port: int, *options: str, calling: str = "STORESCU") -> None:
    """Send files in one association; fails when one is not taken. `options` say what is proposed, such as `-xr`."""
    command = [
        peer("storescu"), "-aet", calling, "-aec", called, *options, "+sd", "127.0.0.1", str(port), *map(str, files),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def dcmqrscp(
    folder: Path, port: int, asker_port: int, peers: Mapping[str, int], study_size: str = "1024mb"
) -> Iterator[None]:
    """Run DCMTK's archive while the block lasts: it answers C-STORE, C-FIND, C-MOVE.

    An object that is larger than `study_size` gets 0xA700.
    """
    executable = peer("dcmqrscp")
    (folder / "archive").mkdir(parents=True, exist_ok=True)
    hosts = "\n".join(
        f"{name.lower()} = ({name}, 127.0.0.1, {p})" for name, p in {**peers, ASKER_AE_TITLE: asker_port}.items()
    )
    (folder / "dcmqrscp.cfg").write_text(
        f"""NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
{hosts}
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{PACS_AE_TITLE} {folder / "archive"} RW (200, {study_size}) ANY
AETable END
"""
    )
    with program([executable, "-c", str(folder / "dcmqrscp.cfg"), str(port)], folder / "dcmqrscp.log", port):
        yield


def findscu_series(port: int, study_uid: str, modality: str) -> list[str]:
    """SeriesInstanceUIDs that the archive holds of a study and modality."""
    command = [
        peer("findscu"), "-S", "-aet", ASKER_AE_TITLE, "-aec", PACS_AE_TITLE, "127.0.0.1", str(port),
        "-k", "0008,0052=SERIES", "-k", f"0020,000D={study_uid}", "-k", f"0008,0060={modality}", "-k", "0020,000E",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "(0020,000e)" in line]
    return sorted({line.split("[")[1].split("]")[0].strip("\0 ") for line in lines if "[" in line})


def movescu_series(port: int, asker_port: int, study_uid: str, series_uid: str, folder: Path) -> list[Path]:
    """Fetch a series from the archive by C-MOVE."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        peer("movescu"), "-S", "-aet", ASKER_AE_TITLE, "-aem", ASKER_AE_TITLE, "-aec", PACS_AE_TITLE,
        "--port", str(asker_port), "-od", str(folder), "127.0.0.1", str(port),
        "-k", "0008,0052=SERIES", "-k", f"0020,000D={study_uid}", "-k", f"0020,000E={series_uid}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(folder.iterdir())


@contextmanager
def storescp(folder: Path, port: int, log: Path, *options: str) -> Iterator[None]:
    """Run DCMTK's plain storage SCP while the block lasts; `options` say what it accepts, such as `+xa`."""
    folder.mkdir(parents=True, exist_ok=True)
    with program([peer("storescp"), "-aet", PACS_AE_TITLE, *options, "-od", str(folder), str(port)], log, port):
        yield


def two_ports() -> tuple[int, int]:
    """Two different free ports."""
    first = free_port()
    second = free_port()
    while second == first:
        second = free_port()
    return first, second
