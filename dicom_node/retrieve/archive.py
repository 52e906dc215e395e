"""An archive that is asked for studies: query and retrieve SCU, Study Root (PS3.4 C.6.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from dicom_node.deliver.send.association import (
    Call,
    Message,
    NoContextAccepted,
    RequestedAssociation,
    Sink,
    associated,
)
from dicom_node.deliver.verify.find import STUDY_ROOT_FIND
from dicom_node.node.clock import steady
from dicom_node.node.dicom_uids import STUDY_ROOT_MOVE
from dicom_node.node.errors import ConfigurationError, DeliveryError
from dicom_node.node.logger import get_logger
from dicom_node.node.small_data_set import Elements, MalformedDataSet, decode, encode, text_of
from dicom_node.node.upper_layer.associate import Role
from dicom_node.node.upper_layer.dimse import CommandSet, encode_find_request, encode_move_request
from dicom_node.retrieve.arrivals import ArchiveDown, Arrivals

log = get_logger()

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
_LEVEL: Final = 0x00080052
_STUDY: Final = 0x0020000D
_SERIES: Final = 0x0020000E
_INSTANCE: Final = 0x00080018
_MOST_NAMED: Final = 100  # instances in one request: 6.5 kB at most
_ACCESSION: Final = 0x00080050
_MODALITY: Final = 0x00080060
PENDING: Final = (0xFF00, 0xFF01)  # PS3.4 C.4.1.1.4, C.4.2.1.5
SUCCESS: Final = 0x0000
_MOVE_DESTINATION_UNKNOWN: Final = 0xA801  # of every study alike
# Some of what was asked for could not be sent (PS3.4 tables C.4-2, C.4-3): the request itself was understood.
_NOT_ALL_SENT: Final = (0xA702, 0xB000)
# PS3.4 table C.4-2, what to do about it.
_MOVE_WORDS: Final[Mapping[int, str]] = {
    0xA701: "it has no room to count the instances",
    0xA702: "it could not send: is our receiver running, and does it know our address and port?",
    _MOVE_DESTINATION_UNKNOWN: "it does not know our AE title as a destination: add AE title, "
    "address and port of our receiver there",
    0xA900: "it does not find the series any more",
    0xB000: "some instances did not arrive",
    0xFE00: "somebody there ended it",
}
_LONGEST_SILENCE: Final = 600.0  # seconds without a pending response: a tape, a nearline archive
_LONGEST_REQUEST: Final = 1800.0  # seconds until one request has ended, whatever comes meanwhile


class EndedUnanswered(DeliveryError):
    """The archive ended the association and said nothing to the request."""


class Archive:
    """One archive, called when it is asked; it sends to our receiver's port.

    Args:
        call: the peer, and how to call it.
        arrivals: for what comes in our own association.
        silence_seconds: how long it may say nothing while it sends.
        request_seconds: how long one request may last: pending responses that never end keep nothing going.
        still: seconds that only grow.
    """

    def __init__(
        self,
        call: Call,
        silence_seconds: float = _LONGEST_SILENCE,
        request_seconds: float = _LONGEST_REQUEST,
        still: Callable[[], float] = steady,
        *,
        arrivals: Arrivals | None = None,
    ) -> None:
        self.call = call
        self._arrivals = arrivals
        self._silence_seconds = silence_seconds
        self._request_seconds = request_seconds
        self._still = still
        self._ends_at_names = False

    @property
    def arrivals(self) -> Arrivals:
        """Where what comes in our own association goes."""
        assert self._arrivals is not None
        return self._arrivals

    def study_of(self, accession_number: str) -> str:
        """The StudyInstanceUID of an accession number.

        Raises:
            ArchiveDown: no association.
            DeliveryError: no study, several, or no answer.
        """
        with self._asking(STUDY_ROOT_FIND) as association:
            asked = {_LEVEL: "STUDY", _ACCESSION: accession_number, _STUDY: ""}
            studies = sorted({text_of(one, _STUDY) for one in self._find(association, asked)} - {""})
        if len(studies) != 1:
            raise DeliveryError(f"{self.call.name} lists {len(studies) or 'no'} studies of the accession number")
        return studies[0]

    def studies(self, matching: Mapping[int, str]) -> list[tuple[str, str]]:
        """StudyInstanceUID and accession number of the studies that match, by C-FIND at study level.

        Args:
            matching: values by tag, with the wildcards and ranges of PS3.4 C.2.2.2.

        Raises:
            ArchiveDown: no association.
            DeliveryError: no answer, or a status that is no success.
        """
        asked = {_LEVEL: "STUDY", _STUDY: "", _ACCESSION: "", **matching}
        with self._asking(STUDY_ROOT_FIND) as association:
            found = [(text_of(one, _STUDY), text_of(one, _ACCESSION)) for one in self._find(association, asked)]
        return sorted({(study, number) for study, number in found if study})

    def instances_of(self, study_uid: str) -> dict[str, list[str]]:
        """What it lists of a study's MR series: series -> SOP Instance UIDs, by C-FIND at series and image level.

        Raises:
            ArchiveDown: no association.
            DeliveryError: no answer, or a status that is no success.
        """
        with self._asking(STUDY_ROOT_FIND) as association:
            asked = {_LEVEL: "SERIES", _STUDY: study_uid, _SERIES: "", _MODALITY: "MR"}
            listed = list(self._find(association, asked))
            # Some archives do not match the modality of a series.
            series = [text_of(one, _SERIES) for one in listed if text_of(one, _MODALITY) in ("MR", "")]
            found: dict[str, list[str]] = {}
            for uid in dict.fromkeys(filter(None, series)):
                asked = {_LEVEL: "IMAGE", _STUDY: study_uid, _SERIES: uid, _INSTANCE: ""}
                names = {text_of(one, _INSTANCE) for one in self._find(association, asked)} - {""}
                found[uid] = sorted(names)
        return {uid: names for uid, names in found.items() if names}

    def send_here(self, study_uid: str, series_uid: str, instances: Sequence[str], *, whole: bool) -> str:
        """Have it send instances of a series; returns what it says went wrong, "" without trouble.

        Args:
            study_uid, series_uid: which.
            instances: of it that are not here yet.
            whole: they are the series, so that one request is enough; otherwise they are asked for by name, and the
                series where the archive does not send what is named, or ends the association: then at once, and from
                the first request on for every further series.

        What has arrived, the receiver's rows say, and not this answer.

        Raises:
            ArchiveDown: no association, or it does not know where to send to.
            DeliveryError: it was silent, or ended the association.
        """
        names = () if whole or self._ends_at_names else instances
        try:
            return self._send_here(study_uid, series_uid, names)
        except EndedUnanswered:
            if not names:
                raise
        said = self._send_here(study_uid, series_uid, ())
        self._ends_at_names = True  # it answers when it is asked for the series: the names were too much for it
        log.warning(
            "archive ends the association when instances are named: whole series are asked for", source=self.call.name
        )
        return said

    def _send_here(self, study_uid: str, series_uid: str, names: Sequence[str]) -> str:
        """See `send_here`; `names`: none for the whole series."""
        with self._asking(STUDY_ROOT_MOVE) as association:
            status = final_status(lambda identifier: self._move(association, identifier), study_uid, series_uid, names)
        return "" if status == SUCCESS else self.words(status, "C-MOVE", _MOVE_WORDS)

    def _move(self, association: RequestedAssociation, identifier: bytes) -> CommandSet:
        """One C-MOVE; its final response."""
        title = self.call.calling_ae_title
        message_id = association.request(
            STUDY_ROOT_MOVE, lambda number: encode_move_request(number, STUDY_ROOT_MOVE, title), identifier
        )
        for message in self.answers(association, message_id, "C-MOVE"):
            if message.command.status == _MOVE_DESTINATION_UNKNOWN:
                raise ArchiveDown(self.words(_MOVE_DESTINATION_UNKNOWN, "C-MOVE", _MOVE_WORDS))
            if message.command.status not in PENDING:
                return message.command
        raise DeliveryError(f"{self.call.name} did not end C-MOVE")

    def words(self, status: int, what: str, known: Mapping[int, str]) -> str:
        """What a status of a request says, and what to do about it."""
        words = known.get(status, "it could not process the request: its log says more")
        return f"{self.call.name} answered {what} with 0x{status:04X}: {words}"

    def _find(self, association: RequestedAssociation, asked: Mapping[int, str]) -> Iterator[Elements]:
        message_id = association.request(
            STUDY_ROOT_FIND, lambda number: encode_find_request(number, STUDY_ROOT_FIND), encode(dict(asked))
        )
        for message in self.answers(association, message_id, "C-FIND"):
            if message.command.status not in PENDING:
                if message.command.status != SUCCESS:
                    raise DeliveryError(f"{self.call.name} answered C-FIND with 0x{message.command.status or 0:04X}")
                return
            try:
                yield decode(message.data, explicit_vr=False)
            except MalformedDataSet as error:
                raise DeliveryError(f"{self.call.name} answered C-FIND with a data set that is cut off") from error

    def answers(
        self,
        association: RequestedAssociation,
        message_id: int | None,
        what: str,
        open_sink: Callable[[int, CommandSet], Sink] | None = None,
        take: Callable[[Message], None] = lambda _message: None,
    ) -> Iterator[Message]:
        """The responses to one request.

        Args:
            association: of the request.
            message_id: of the request; None: it could not be sent.
            what: the request, for messages; a query is waited for as other answers are, not as long as a tape takes.
            open_sink: see `RequestedAssociation.next_message`.
            take: gets what the archive asks of us meanwhile.

        Raises:
            EndedUnanswered: the association ended and nothing had come.
            DeliveryError: no further one comes, or they do not end.
        """
        until = self._still() + self._request_seconds
        seconds = None if what == "C-FIND" else self._silence_seconds
        answered = False
        while message_id is not None and (message := association.next_message(seconds, open_sink)) is not None:
            answered = True
            if not message.command.is_response:
                take(message)
            elif message.command.message_id == message_id:
                yield message
            if self._still() > until:
                association.abort()
                raise DeliveryError(f"{self.call.name} did not end {what} in {self._request_seconds:.0f} s")
        words = f"{self.call.name} was silent, or ended the association, during {what}"
        if not association.is_open and not answered:
            raise EndedUnanswered(words)
        association.abort()
        raise DeliveryError(words)

    def asking(self, *contexts: tuple[str, str], roles: Sequence[Role] = ()) -> _Asking:
        """An association; arguments as of `associated`."""
        return _Asking(self.call, contexts, roles)

    def _asking(self, sop_class_uid: str) -> _Asking:
        return self.asking((sop_class_uid, IMPLICIT_VR_LITTLE_ENDIAN))


def final_status(
    retrieve: Callable[[bytes], CommandSet], study_uid: str, series_uid: str, instances: Sequence[str]
) -> int:
    """The status of retrieving a series, or instances of it: of several requests the first that is no success.

    Args:
        retrieve: one C-MOVE or C-GET by its identifier; gives the final response.
        study_uid, series_uid: which.
        instances: none for the whole series.
    """
    status = _status_by_name(retrieve, study_uid, series_uid, instances) if instances else None
    if status is None:
        status = retrieve(encode({_LEVEL: "SERIES", _STUDY: study_uid, _SERIES: series_uid})).status
    return status or SUCCESS


def _status_by_name(
    retrieve: Callable[[bytes], CommandSet], study_uid: str, series_uid: str, instances: Sequence[str]
) -> int | None:
    """None where the archive did not try to send what was named: it refused, or reports success with nothing."""
    status = SUCCESS
    for at in range(0, len(instances), _MOST_NAMED):
        # A list of UIDs is a unique key of several values (PS3.4 C.4.2.1.4, C.2.2.2.2).
        named = "\\".join(instances[at : at + _MOST_NAMED])
        end = retrieve(encode({_LEVEL: "IMAGE", _STUDY: study_uid, _SERIES: series_uid, _INSTANCE: named}))
        if not end.completed and end.status not in _NOT_ALL_SENT:
            return None
        status = status or end.status or SUCCESS
    return status


class _Asking:
    """An association; what keeps it from being made is the archive's trouble."""

    def __init__(self, call: Call, contexts: Sequence[tuple[str, str]], roles: Sequence[Role]) -> None:
        self._call = call
        self._inner = associated(call, contexts, roles)

    def __enter__(self) -> RequestedAssociation:
        try:
            return self._inner.__enter__()
        except NoContextAccepted as error:
            raise ArchiveDown(
                f"{self._call.name} accepts no query and retrieve (Study Root): allow it there for "
                f"{self._call.calling_ae_title}"
            ) from error
        except (DeliveryError, ConfigurationError) as error:  # the latter: TLS files that cannot be used
            raise ArchiveDown(str(error)) from error

    def __exit__(self, *about: object) -> None:
        self._inner.__exit__(*about)  # type: ignore[arg-type]
