"""The retriever: takes items of cohorts, has the archive send them here, and believes only the receiver's rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

from db.cohorts import CohortItem, CohortTable, ItemState, Way
from db.errors import DatabaseUnavailable, LeaseLost
from dicom_node.node.clock import steady
from dicom_node.node.errors import DeliveryError
from dicom_node.node.heartbeat import Heartbeat
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import describe_error
from dicom_node.retrieve.arrivals import ArchiveDown

log = get_logger()

IDLE_SECONDS: Final = 2.0
_MOST_ATTEMPTS: Final = 5
_FIRST_WAIT_SECONDS: Final = 60.0
_LONGEST_WAIT_SECONDS: Final = 3600.0
_DOWN_SECONDS: Final = 60.0


def wait_after(attempts: int) -> float:
    """Seconds until a study is tried again, after so many attempts."""
    return float(min(_FIRST_WAIT_SECONDS * 4 ** min(max(attempts - 1, 0), _MOST_ATTEMPTS), _LONGEST_WAIT_SECONDS))


class AskedArchive(Protocol):
    """`dicom_node.retrieve.archive.Archive`, and the others of this room."""

    def study_of(self, accession_number: str) -> str:
        """The study of an accession number."""

    def instances_of(self, study_uid: str) -> dict[str, list[str]]:
        """Series -> SOP Instance UIDs."""

    def send_here(self, study_uid: str, series_uid: str, instances: Sequence[str], *, whole: bool) -> str:
        """What went wrong; "" without trouble. `whole`: these are all instances of the series."""


class Retriever:
    """Fetches one study at a time.

    Args:
        owner: name of the lease's holder, unique to this thread.
        cohorts: the table.
        archives: by the name of the settings' destination and the way that studies come from it.
        lease_seconds: an item whose retriever died is taken again after that long.
        local_hour: hour of the day, by which windows count.
        has_settled: whether the machine's clock was not set in the last seconds.
        moved: called before each series: a study of many may take hours.
    """

    def __init__(
        self,
        owner: str,
        cohorts: CohortTable,
        archives: Mapping[tuple[str, Way], AskedArchive],
        lease_seconds: float,
        local_hour: Callable[[], int] = lambda: datetime.now().astimezone().hour,
        has_settled: Callable[[float], bool] = lambda _seconds: True,
        still: Callable[[], float] = steady,
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        self._owner = owner
        self._cohorts = cohorts
        self._archives = archives
        self._lease_seconds = lease_seconds
        self._local_hour = local_hour
        self._has_settled = has_settled
        self._still = still
        self._moved = moved
        self._down_until: dict[str, float] = {}

    def step(self) -> float:
        """For `run_until_stopped`; a study that is being sent is finished before it returns."""
        return 0.0 if self.fetch_once() else IDLE_SECONDS

    def fetch_once(self) -> bool:
        """Take one item that may be fetched now, and try it; False when there is none."""
        if not self._cohorts.something_waits():
            return False
        skip = [name for name, until in self._down_until.items() if until > self._still()]
        take_over = self._has_settled(self._lease_seconds)
        item = self._cohorts.claim(self._owner, self._lease_seconds, self._local_hour(), skip, take_over=take_over)
        if item is None:
            return False
        try:
            if item.attempts > _MOST_ATTEMPTS:  # its attempts ended with their process, which wrote down no reason
                reason = f"tried {item.attempts - 1} times: the last attempt ended with its process, or was cut off"
                self._cohorts.end(item.id, self._owner, ItemState.FAILED, reason)
                return True
            with Heartbeat(lambda: self._beat(item), self._lease_seconds / 3) as lease:
                self._try(item, lease)
        except LeaseLost:
            log.warning("study of a cohort taken over by another retriever", item=item.id)
        return True

    def _beat(self, item: CohortItem) -> bool:
        return self._cohorts.heartbeat(item.id, self._owner, self._lease_seconds)

    def _try(self, item: CohortItem, lease: Heartbeat) -> None:
        """One attempt; whatever ends it, the item says why, and the next one is not held up."""
        facts = {"item": item.id, "source": item.source, "attempt": item.attempts}
        try:
            self._fetch(item, lease)
            self._cohorts.end(item.id, self._owner, ItemState.DONE)
            log.info("study fetched", **facts)
        except (LeaseLost, DatabaseUnavailable):  # no study's trouble: the lease ends, and it is tried again
            raise
        except ArchiveDown as down:
            self._down_until[item.source] = self._still() + _DOWN_SECONDS
            self._cohorts.postpone(item.id, self._owner, str(down), 0.0, counts=False)
            log.warning("archive cannot be asked now", **facts, reason=str(down))
        except Exception as error:  # the edge towards peers: what an unforeseen answer breaks is this item's trouble
            reason = str(error) if isinstance(error, DeliveryError) else describe_error(error)
            self._failed(item, reason)
            log.warning("study not fetched", **facts, reason=reason)

    def _fetch(self, item: CohortItem, lease: Heartbeat) -> None:
        archive = self._archives.get((item.source, item.way))
        if archive is None:
            kind = "DICOMweb server" if item.way is Way.WEB else "DICOM peer"
            raise ArchiveDown(f"destination {item.source!r} is no longer in the settings, or is no {kind}")
        study = item.study_instance_uid or archive.study_of(item.accession_number or "")
        expected = archive.instances_of(study)
        if not expected:
            raise DeliveryError("the archive lists no MR images of the study")
        self._cohorts.expects(item.id, self._owner, study, expected)
        said = []
        missing = self._missing(expected)
        if missing:
            self._cohorts.moving(item.id, self._owner)
        for series, instances in missing.items():
            lease.require_held()
            self._moved()
            whole = len(instances) == len(expected[series])
            said.append(archive.send_here(study, series, instances, whole=whole))
        if missing := self._missing(expected):
            lacks = sum(map(len, missing.values()))
            words = "; ".join(filter(None, dict.fromkeys(said))) or "the archive reported success"
            of_all = sum(map(len, expected.values()))
            raise DeliveryError(f"{lacks} of {of_all} instances have not arrived: {words}")

    def _missing(self, expected: Mapping[str, list[str]]) -> dict[str, list[str]]:
        held = self._cohorts.held([uid for uids in expected.values() for uid in uids])
        lacking = {series: [uid for uid in uids if uid not in held] for series, uids in expected.items()}
        return {series: uids for series, uids in lacking.items() if uids}

    def _failed(self, item: CohortItem, reason: str) -> None:
        if item.attempts >= _MOST_ATTEMPTS:
            self._cohorts.end(item.id, self._owner, ItemState.FAILED, f"tried {item.attempts} times: {reason}")
            return
        self._cohorts.postpone(item.id, self._owner, reason, wait_after(item.attempts), counts=True)
