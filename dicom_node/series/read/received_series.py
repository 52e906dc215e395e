"""The files of a job are read in a confined child; what comes back is one volume with its headers, or a typed refusal.

The header child of completion has let the series pass. But decoding, and the conversion of every header element, can
still grow without bounds, and the worker holds a model and a lease.

Protocol: request: rows of the instances, the storage folder and the job's digest as JSON. Answer: a series as
`series_parts` writes it, or one part of JSON: ["refused", class, code, reason] or ["failed", words]. With null for the
digest only one header is asked for: two parts, of which the first is empty, or one of JSON: why no refusal report is
sent, as text. A decoder that a hostile file has taken over can thus give wrong images, which it could before; it cannot
run code in this process.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset, FileDataset

from db.records import StoredInstance
from dicom_node.node.confined.child import ConfinedChild, asked_twice
from dicom_node.node.confined.inside import serve
from dicom_node.node.confined.limits import Limits
from dicom_node.node.errors import (
    ConfinedChildLost,
    IncompleteSeries,
    NoRefusalReport,
    NotAnalysable,
    NotFlair,
    UnreadableObject,
    UnsupportedGeometry,
    WmhNodeError,
)
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import describe_error
from dicom_node.series.dicom import values
from dicom_node.series.dicom.digest import instances_digest
from dicom_node.series.dicom.frames import IMAGE_CLASSES
from dicom_node.series.dicom.parsing import guarded, read_header
from dicom_node.series.dicom.pixels import MAX_VOXELS
from dicom_node.series.read.flair_series import FlairSeries
from dicom_node.series.read.instances import (
    analysed_instances,
    digest_of,
    first_instances,
    rows_from_json,
    rows_to_json,
)
from dicom_node.series.read.patients import require_one_patient
from dicom_node.series.read.series import clean_header, read_series
from dicom_node.series.read.series_parts import from_parts, header_bytes, header_from, to_parts
from dicom_node.series.rules.flair import classify_series

log = get_logger()

# Of all headers as data sets; in memory they take some times that. An Enhanced MR of 3000 frames has some 50 MB.
MAX_HEADER_BYTES: Final = 192 * 1024**2
# Reading holds every frame twice, the files, and the headers.
LIMITS: Final = Limits(
    memory_bytes=1024**3 + 12 * MAX_VOXELS, seconds=600.0, answer_bytes=4 * MAX_VOXELS + 2 * MAX_HEADER_BYTES
)

# Why no refusal report is sent.
SEVERAL_PATIENTS: Final = "the images of the series name several patients, so the patient is unknown"
UNREADABLE: Final = "no image of the series can be read, so the patient is unknown"
TOO_LARGE: Final = "the headers of the series need more memory or time to read than those of any head scan"
NOT_FLAIR: Final = "the headers of the series do not say brain FLAIR, so no reader expects a result"

_LARGE: Final = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")

_REFUSALS: Final = {
    kind.__name__: kind for kind in (NotAnalysable, NotFlair, IncompleteSeries, UnreadableObject, UnsupportedGeometry)
}


class ReceivedSeriesReader:
    """Keeps the child.

    Args:
        limits: of one series.
        log_level, log_format: for the child's own lines, see `configure_logs`.
    """

    def __init__(self, limits: Limits = LIMITS, log_level: str = "info", log_format: str = "text") -> None:
        self._child = ConfinedChild("dicom_node.series.read.received_series", limits, log_level, log_format)

    def start(self) -> None:
        """Start the child now, so that the first series need not wait for it."""
        self._child.start()

    def read(self, instances: Sequence[StoredInstance], storage: Path, digest: str) -> FlairSeries:
        """As `read_received`.

        Raises:
            NotAnalysable: see `read_series`; also a series that takes more memory or time than any head scan.
            ConfinedChildLost: the child was lost, perhaps for another reason than the series: it may be read later.
            WmhNodeError: see `read_received`; and anything unexpected, as text.
        """
        request = json.dumps([rows_to_json(instances), str(storage), digest]).encode()
        try:
            answer = asked_twice(self._child, request)
        except ConfinedChildLost as error:
            if not error.took_too_much:
                raise
            log.warning("series could not be read within the limits", instances=len(instances), trouble=str(error))
            raise UnreadableObject(
                "header_too_complex",
                "The series needs more time or memory to read than any head scan; it may be damaged. Send the series "
                "again, or report this with the series' UID.",
            ) from error
        if len(answer) == 1:
            raise _error(json.loads(answer[0]))
        return guarded(
            lambda: from_parts(answer),
            "unreadable",
            "The series could not be read: its reader returned an invalid reply.",
        )

    def first_header(self, instances: Sequence[StoredInstance], storage: Path) -> Dataset:
        """As `first_header`.

        Raises:
            NoRefusalReport: see there; also when not even that can be read within the limits.
            ConfinedChildLost: for reasons that need not be the series'.
        """
        request = json.dumps([rows_to_json(instances), str(storage), None]).encode()
        try:
            answer = asked_twice(self._child, request)
            if len(answer) == 1:
                raise NoRefusalReport(json.loads(answer[0]))
            return guarded(lambda: header_from(answer[1]), "unreadable", "The header reader returned an invalid reply.")
        except (ConfinedChildLost, UnreadableObject) as error:
            if isinstance(error, ConfinedChildLost) and not error.took_too_much:
                raise
            log.warning("no header could be read", instances=len(instances), trouble=str(error))
            raise NoRefusalReport(TOO_LARGE if isinstance(error, ConfinedChildLost) else UNREADABLE) from error

    @property
    def process_id(self) -> int | None:
        """Of the child that is there now."""
        return self._child.process_id

    def close(self) -> None:
        """End the child."""
        self._child.close()


def read_received(instances: Sequence[StoredInstance], storage: Path, digest: str) -> FlairSeries:
    """Read the files that a job was made for, in this process.

    Args:
        instances: of the job, conflicts included, in order of arrival.
        storage: where their paths start.
        digest: the job's.

    Raises:
        NotAnalysable: see `read_series`.
        WmhNodeError: the instances are not those that the job was made for.
    """
    chosen = analysed_instances(instances, storage)
    expected = digest_of(chosen)
    # Where completion lost its reader, it is unknown which of two files can be read: its job is named by the first.
    if digest != digest_of(first_instances(instances)):
        _require_same(expected, digest, "in the table")
    series = read_series([storage / instance.path for instance in chosen])
    received = instances_digest((instance.sop_instance_uid, instance.sha256) for instance in chosen)
    _require_same(series.files_digest, received, "in the storage")
    return series


def first_header(instances: Sequence[StoredInstance], storage: Path) -> Dataset:
    """The header of the first instance of a series that can be read, for the refusal report about a series that cannot.

    The first of the size that most of its images have: the form of the refusal report depends on that, and a localizer
    may have come before the FLAIR. Functional groups, which may be as large as the image, are left out.

    Returns:
        with the UIDs that it was received under.

    Raises:
        NoRefusalReport: no image's header can be read; those that can name several patients, which a fault that was
            found before, a damaged file say, has hidden; or they do not say brain FLAIR. That one is a series which
            completion could not read, so it was never examined (docs/adr/0012).
    """
    headers = list(_readable_headers(analysed_instances(instances, storage), storage))
    try:
        require_one_patient([header for _, header in headers])
    except UnreadableObject as error:
        raise NoRefusalReport(SEVERAL_PATIENTS) from error
    if headers and not classify_series([header for _, header in headers]).is_flair:
        raise NoRefusalReport(NOT_FLAIR)
    images = [pair for pair in headers if _is_image_of(*pair)]
    if not images:
        raise NoRefusalReport(UNREADABLE)
    sizes = Counter(_size(header) for _, header in images)
    one, header = max(images, key=lambda pair: sizes[_size(pair[1])])  # the first of those
    for keyword in _LARGE:
        header.pop(keyword, None)
    clean_header(header)
    for keyword, uid in uids_of(one).items():
        setattr(header, keyword, uid)
    return header


def _is_image_of(instance: StoredInstance, header: Dataset) -> bool:
    """An MR image that names the series that it was received for."""
    return (
        instance.sop_class_uid in IMAGE_CLASSES
        and values.text(header, "SeriesInstanceUID") == instance.series_instance_uid
    )


def _size(header: Dataset) -> tuple[int | None, int | None]:
    return values.whole(header, "Rows"), values.whole(header, "Columns")


def _readable_headers(
    instances: Sequence[StoredInstance], storage: Path
) -> Iterator[tuple[StoredInstance, FileDataset]]:
    for instance in instances:
        try:
            header = read_header(storage / instance.path)
        except NotAnalysable:
            continue
        yield instance, header


def uids_of(instance: StoredInstance) -> dict[str, str]:
    """What refers to an instance, by DICOM keyword."""
    return {
        "SOPClassUID": instance.sop_class_uid,
        "SOPInstanceUID": instance.sop_instance_uid,
        "StudyInstanceUID": instance.study_instance_uid,
        "SeriesInstanceUID": instance.series_instance_uid,
    }


def _require_same(found: str, expected: str, where: str) -> None:
    if found != expected:
        raise WmhNodeError(
            f"the series' instances {where} differ from those that the job was made for: expected digest "
            f"{expected[:12]}, "
            f"found {found[:12]}; a newer job covers the present instances, or the storage was changed by hand"
        )


def _error(words: Sequence[str]) -> WmhNodeError:
    if words[0] == "refused":
        return _REFUSALS[words[1]](words[2], words[3])
    return WmhNodeError(words[1])


def _answer(request: bytes) -> list[bytes | memoryview]:
    rows, storage, digest = json.loads(request)
    if digest is None:
        return _answer_with_header(rows, Path(storage))
    try:
        parts = to_parts(read_received(rows_from_json(rows), Path(storage), digest))
        if len(parts[1]) > MAX_HEADER_BYTES:
            raise UnreadableObject(
                "header_too_complex", "The headers of the series are larger than those of any head scan."
            )
    except NotAnalysable as error:
        return [json.dumps(["refused", type(error).__name__, error.code, error.reason]).encode()]
    except WmhNodeError as error:
        return [json.dumps(["failed", str(error)]).encode()]
    except Exception as error:  # this is the worker's edge towards received bytes
        return [json.dumps(["failed", describe_error(error)]).encode()]
    return parts


def _answer_with_header(rows: str, storage: Path) -> list[bytes | memoryview]:
    try:
        return [b"", header_bytes(first_header(rows_from_json(rows), storage))]
    except NoRefusalReport as error:
        return [json.dumps(str(error)).encode()]
    except Exception as error:  # the same
        log.warning("no header could be read", trouble=describe_error(error))
        return [json.dumps(f"the headers could not be examined: {describe_error(error)}; please report this").encode()]


if __name__ == "__main__":
    serve("read", _answer)
