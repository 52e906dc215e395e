"""Headers of received files are read in a confined child.

In the worker, a series whose headers grow without bounds would end the analysis that runs, again and again, since the
series stays. So a child reads them, and when a series takes too much of it, the series is refused. A child that was
lost for another reason, on a machine that is short of memory say, refuses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from db.records import StoredInstance
from dicom_node.node.confined.child import ConfinedChild, asked_twice
from dicom_node.node.confined.inside import serve
from dicom_node.node.confined.limits import Limits
from dicom_node.node.errors import ConfinedChildLost
from dicom_node.node.logger import get_logger
from dicom_node.series.complete.completer import Examination, examine_files
from dicom_node.series.geometry.planning import Planning
from dicom_node.series.read.instances import digest_of, first_instances, rows_from_json, rows_to_json
from dicom_node.series.rules.verdict import Verdict

log = get_logger()

# The largest series of heads (thousands of classic images, or Enhanced images of thousands of frames) take some hundred
# MB and half a minute. Where one UID came with different bytes, frames are decoded too.
LIMITS: Final = Limits(memory_bytes=2 * 1024**3, seconds=120.0, answer_bytes=1024**2)


class Examiner:
    """Keeps the child.

    Args:
        limits: of one series.
        log_level, log_format: for the child's own lines, see `configure_logs`.
    """

    def __init__(self, limits: Limits = LIMITS, log_level: str = "info", log_format: str = "text") -> None:
        self._child = ConfinedChild("dicom_node.series.complete.examiner", limits, log_level, log_format)

    def examine(self, instances: Sequence[StoredInstance], storage: Path) -> Examination:
        """As `examine_files`; a series that takes too much of the child is refused.

        Raises:
            ConfinedChildLost: for reasons that need not be the series': it may be read another time.
        """
        request = json.dumps([rows_to_json(instances), str(storage)]).encode()
        try:
            (answer,) = asked_twice(self._child, request)
        except ConfinedChildLost as error:
            if not error.took_too_much:
                raise
            log.warning("headers could not be read within the limits", instances=len(instances), trouble=str(error))
            reason = (
                "The headers of the series need more time or memory to read than those of any head scan; they may be "
                "damaged. Send the series again, or report this with the series' UID."
            )
            verdict = Verdict(False, "header_too_complex", reason)
            return Examination(True, verdict, digest_of(first_instances(instances)))
        return _examination(json.loads(answer))

    @property
    def process_id(self) -> int | None:
        """Of the child that is there now."""
        return self._child.process_id

    def close(self) -> None:
        """End the child."""
        self._child.close()


def _examination(values: dict[str, Any]) -> Examination:
    verdict = values.pop("verdict")
    values["order"] = tuple(values["order"])
    if (planning := values["planning"]) is not None:
        values["planning"] = Planning(**{**planning, "normal": tuple(planning["normal"])})
    return Examination(verdict=Verdict(**{**verdict, "flags": tuple(verdict["flags"])}), **values)


def _answer(request: bytes) -> list[bytes]:
    rows, storage = json.loads(request)
    return [json.dumps(asdict(examine_files(rows_from_json(rows), Path(storage)))).encode()]


if __name__ == "__main__":
    serve("examine", _answer)
