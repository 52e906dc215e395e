"""An archive with DICOMweb: studies by QIDO-RS (PS3.18 10.6), objects by WADO-RS (10.4), one request an object.

One request an object, so that what is here already is not sent again, and what cannot be sent names itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import httpx2

from dicom_node.deliver.stow import WebCall
from dicom_node.deliver.stow.answer_limits import AnswerTooLong
from dicom_node.deliver.stow.web_call import trouble_words
from dicom_node.node.errors import ConfigurationError, DeliveryError
from dicom_node.receive.statuses import Refusal
from dicom_node.retrieve.arrivals import ArchiveDown, Arrivals, Visit
from dicom_node.retrieve.web_object import Meta, read_object

_STUDY: Final = "0020000D"
_SERIES: Final = "0020000E"
_INSTANCE: Final = "00080018"
_ACCESSION: Final = "00080050"
_MODALITY: Final = "00080060"
_JSON: Final = {"Accept": "application/dicom+json"}
# As it is stored there: an archive that has to convert may change what cannot be undone.
_OBJECT: Final = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
_PAGE: Final = 500
_MOST_PAGES: Final = 2000
_OBJECT_SECONDS: Final = 1800.0
_MULTIPART_BYTES: Final = 64 * 1024  # around an object
_NOTHING: Final = 204
_DOWN: Final = (401, 403, 408, 429, 502, 503, 504)  # true of every object; others are this one's


class WebArchive:
    """One archive, called when it is asked.

    Args:
        call: the server, and how to call it.
        arrivals: where its objects go.
    """

    def __init__(self, call: WebCall, arrivals: Arrivals | None = None) -> None:
        self._call = call
        self._arrivals = arrivals

    def study_of(self, accession_number: str) -> str:
        """The StudyInstanceUID of an accession number.

        Raises:
            ArchiveDown: it cannot be asked.
            DeliveryError: no study, or several.
        """
        rows = self._list("studies", {"AccessionNumber": accession_number}, _STUDY)
        found = sorted(rows)
        if len(found) != 1:
            raise DeliveryError(f"{self._name} lists {len(found) or 'no'} studies of the accession number")
        return found[0]

    def studies(self, matching: Mapping[int, str]) -> list[tuple[str, str]]:
        """StudyInstanceUID and accession number of the studies that match; see `Archive.studies`.

        Raises:
            ArchiveDown: it cannot be asked.
            DeliveryError: its answer cannot be read.
        """
        rows = self._list("studies", {f"{tag:08X}": value for tag, value in matching.items()}, _STUDY)
        return sorted((uid, _value(row, _ACCESSION)) for uid, row in rows.items())

    def instances_of(self, study_uid: str) -> dict[str, list[str]]:
        """What it lists of a study's MR series: series -> SOP Instance UIDs.

        Raises:
            ArchiveDown: it cannot be asked.
            DeliveryError: its answer cannot be read.
        """
        # Some servers do not match the modality of a series.
        series = self._list(f"studies/{study_uid}/series", {"Modality": "MR"}, _SERIES)
        wanted = [uid for uid, row in series.items() if _value(row, _MODALITY) in ("MR", "")]
        found = {
            uid: sorted(self._list(f"studies/{study_uid}/series/{uid}/instances", {}, _INSTANCE)) for uid in wanted
        }
        return {uid: names for uid, names in found.items() if names}

    def send_here(self, study_uid: str, series_uid: str, instances: Sequence[str], *, whole: bool) -> str:
        """Fetch these instances, one request each; returns what went wrong with the first that did not come, or "".

        Args:
            study_uid, series_uid: which.
            instances: of it that are not here yet.
            whole: they are the series; no difference here.

        Raises:
            ArchiveDown: it cannot be asked, or we cannot take anything.
        """
        assert self._arrivals is not None
        said = ""
        most = self._arrivals.max_object_bytes + _MULTIPART_BYTES
        host = self._call.destination.host
        try:
            with (
                self._call.client(most, _OBJECT_SECONDS) as client,
                self._arrivals.visit(self._name, host) as visit,
            ):
                for uid in instances:
                    path = f"studies/{study_uid}/series/{series_uid}/instances/{uid}"
                    try:
                        self._fetch(client, path, visit)
                    except ArchiveDown:
                        raise
                    except (DeliveryError, Refusal) as error:
                        said = said or str(error)
        except ConfigurationError as error:
            raise ArchiveDown(str(error)) from error
        return said

    @property
    def _name(self) -> str:
        return self._call.destination.name

    def _fetch(self, client: httpx2.Client, path: str, visit: Visit) -> None:
        def begin(meta: Meta) -> Any:
            return visit.begin(meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax_uid)

        try:
            with client.stream("GET", f"{self._call.destination.url}/{path}", headers=_OBJECT) as answer:
                self._require_ok(answer)
                read_object(answer.headers.get("Content-Type", ""), answer.iter_bytes(), begin)
        except AnswerTooLong as error:
            raise DeliveryError(f"{self._name}: {self._call.no_answer(error)}") from error
        except httpx2.HTTPError as error:
            raise ArchiveDown(f"{self._name}: {self._call.no_answer(error)}") from error
        visit.keep()

    def _list(self, path: str, matching: Mapping[str, str], key: str) -> dict[str, Mapping[str, Any]]:
        """The rows of a search by their UID, page by page: a server may give fewer than it was asked for."""
        found: dict[str, Mapping[str, Any]] = {}
        try:
            with self._call.client() as client:
                for _ in range(_MOST_PAGES):
                    page = {_value(row, key): row for row in self._page(client, path, matching, len(found))}
                    page.pop("", None)
                    if not page.keys() - found.keys():  # the end, or a server that does not know `offset`
                        return found
                    found |= page
        except ConfigurationError as error:
            raise ArchiveDown(str(error)) from error
        raise DeliveryError(f"{self._name}: its answers to QIDO-RS do not end")

    def _page(
        self, client: httpx2.Client, path: str, matching: Mapping[str, str], offset: int
    ) -> Iterator[Mapping[str, Any]]:
        asked = {**matching, "limit": str(_PAGE), "offset": str(offset)}
        try:
            answer = client.get(f"{self._call.destination.url}/{path}", params=asked, headers=_JSON)
        except httpx2.HTTPError as error:
            raise ArchiveDown(f"{self._name}: {self._call.no_answer(error)}") from error
        if answer.status_code in (_NOTHING, 404):  # some servers answer 404 where there is nothing
            return
        self._require_ok(answer)
        try:
            rows = answer.json()
        except ValueError as error:
            raise DeliveryError(f"{self._name}: its answer to QIDO-RS is no JSON") from error
        if not isinstance(rows, list):
            raise DeliveryError(f"{self._name}: its answer to QIDO-RS is no list")
        yield from (row for row in rows if isinstance(row, Mapping))

    def _require_ok(self, answer: httpx2.Response) -> None:
        status = answer.status_code
        if status < 300:
            return
        if status == 404:
            raise DeliveryError(f"{self._name} does not find an instance that it lists (HTTP 404)")
        words = f"{self._name}: {trouble_words(status, self._call.destination)}"
        raise (ArchiveDown if status in _DOWN else DeliveryError)(words)


def _value(row: Mapping[str, Any], tag: str) -> str:
    """The one value of an element of the DICOM JSON model (PS3.18 F.2), "" without one."""
    element = row.get(tag)
    values = element.get("Value") if isinstance(element, Mapping) else None
    first = values[0] if isinstance(values, list) and values else ""
    return first if isinstance(first, str) else ""
