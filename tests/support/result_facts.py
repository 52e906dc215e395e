"""What objects say about an analysis, for tests that build one object and not a result set."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.common.stamp import stamp_of
from dicom_node.results.common.uids import ResultUids
from dicom_node.series.read.series import FlairSeries
from segmentation.bundle import ModelIdentity

MODEL = ModelIdentity("se-unet-test", "0.1.0", "5b" * 32)
ANALYSED_AT = datetime(2026, 3, 29, 1, 30, 15, 250_000, tzinfo=UTC)


def facts_of(series: FlairSeries, **more: Any) -> AnalysisFacts:
    """An analysis of the series by `MODEL` at `ANALYSED_AT`; `more` as the fields of AnalysisFacts."""
    return AnalysisFacts(
        uids=ResultUids(series.series_instance_uid, series.instances_digest, MODEL.digest, "openvino", "bf16", "0.1.0"),
        model=MODEL,
        runtime="openvino",
        precision="bf16",
        threshold=0.5,
        stamp=stamp_of(ANALYSED_AT, series.headers[0]),
        **more,
    )
