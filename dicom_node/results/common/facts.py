"""What SEG and SR both say about the analysis."""

from __future__ import annotations

from dataclasses import dataclass

from dicom_node.results.common.comparison import FollowUpFinding
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.common.stamp import Stamp
from dicom_node.results.common.uids import ResultUids
from segmentation.bundle import ModelIdentity


@dataclass(frozen=True)
class AnalysisFacts:
    """Who analysed a series, how and when.

    Attributes:
        uids: of the result set.
        model: the model bundle's identity.
        runtime: `tensorflow` or `openvino`.
        precision: arithmetic of the convolutions, `f32` or `bf16`.
        threshold: mean probability at or above which a voxel is WMH; None when the caller does not give it.
        stamp: time of the analysis.
        predecessor: the report about an earlier state of the series; None when there is none.
        comparison: the change since an earlier result of the same patient, or why it is not given; None without one.
    """

    uids: ResultUids
    model: ModelIdentity
    runtime: str
    precision: str
    threshold: float | None
    stamp: Stamp
    predecessor: ReportReference | None = None
    comparison: FollowUpFinding | None = None

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the networks that found the WMH, by name, as every object carries them."""
        known = {
            "runtime": self.runtime,
            "precision": self.precision,
            "threshold": None if self.threshold is None else f"{self.threshold:g}",
            "model_digest": self.model.digest,
        }
        return {name: value for name, value in known.items() if value is not None}

    @property
    def ventricle_parameters(self) -> dict[str, str]:
        """Those of the ventricle network: the threshold is not its own."""
        return {name: value for name, value in self.parameters.items() if name != "threshold"}
