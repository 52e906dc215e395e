"""Results as a BIDS derivatives data set (BIDS 1.10, "Derived data sets" and "Imaging data types: masks")."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import nibabel
import numpy as np
from numpy.typing import NDArray

from dicom_node.analyse.many.inputs import InputSeries
from dicom_node.analyse.nifti import REGION_LABELS, region_labels
from dicom_node.node.files import json_bytes, make_folder, write_whole
from dicom_node.node.version import SOFTWARE_NAME, SOFTWARE_VERSION
from dicom_node.series.read.flair_series import FlairSeries
from segmentation.nifti import NiftiGrid, write_map_nifti
from segmentation.segment import Segmentation

DESCRIPTION: Final = "dataset_description.json"
_ENTITIES: Final = re.compile(r"(sub-[0-9A-Za-z]+)((?:_[0-9A-Za-z]+-[0-9A-Za-z]+)*)_FLAIR")
_SESSION: Final = re.compile(r"_(ses-[0-9A-Za-z]+)")
_NOT_A_LABEL: Final = re.compile(r"[^0-9A-Za-z]")
_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
Values = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True)
class BidsWriter:
    """Writes into one derivatives data set.

    Attributes:
        root: its folder; made, with its description, by `begin`.
        probability_map: also the probabilities, as `probseg`.
        raw: root of the BIDS data set that the sources are from; None: they are from none.
    """

    root: Path
    probability_map: bool = False
    raw: Path | None = None

    def begin(self) -> None:
        """Write dataset_description.json."""
        make_folder(self.root)
        description: dict[str, Any] = {
            "Name": "White matter hyperintensities on FLAIR (research use only)",
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": SOFTWARE_NAME, "Version": SOFTWARE_VERSION}],
        }
        if self.raw is not None:
            description["DatasetLinks"] = {"raw": self.raw.absolute().as_uri()}
        write_whole(self.root / DESCRIPTION, json_bytes(description))
        table = "index\tname\n" + "".join(f"{value}\t{name}\n" for value, name in REGION_LABELS.items())
        write_whole(self.root / "desc-regions_dseg.tsv", table.encode())

    def write_nifti(
        self, series: InputSeries, grid: NiftiGrid, segmentation: Segmentation, measurements: dict[str, Any]
    ) -> None:
        """The maps of a NIfTI file, on its own grid with both of its transforms."""
        self._write(series, segmentation, measurements, lambda path, values: write_map_nifti(path, values, grid))

    def write_dicom(
        self, series: InputSeries, source: FlairSeries, segmentation: Segmentation, measurements: dict[str, Any]
    ) -> None:
        """The maps of a DICOM series, (column, row, slice) with the images' affine in RAS+."""
        affine = _LPS_TO_RAS @ source.affine

        def write(path: Path, values: Values) -> None:
            image = nibabel.Nifti1Image(np.ascontiguousarray(values.transpose(2, 1, 0)), affine)
            image.set_qform(affine, 1)
            image.set_sform(affine, 1)
            image.header.set_xyzt_units("mm")
            nibabel.save(image, path)

        self._write(series, segmentation, measurements, write)

    def _write(
        self,
        series: InputSeries,
        segmentation: Segmentation,
        measurements: dict[str, Any],
        write: Callable[[Path, Values], None],
    ) -> None:
        folder, entities = self._place(series)
        make_folder(folder)
        maps: dict[str, tuple[Values, dict[str, Any]]] = {
            "label-WMH_mask": (segmentation.mask.astype(np.uint8), {"Type": "Lesion"}),
        }
        if (labels := region_labels(segmentation)) is not None:
            maps["desc-regions_dseg"] = labels, {}
        if self.probability_map:
            maps["label-WMH_probseg"] = segmentation.probability, {}
        for suffix, (values, about) in maps.items():
            write(folder / f"{entities}_{suffix}.nii.gz", values)
            sidecar = {**about, "SpatialReference": "orig", "Sources": [self._source(series)]}
            write_whole(folder / f"{entities}_{suffix}.json", json_bytes(sidecar))
        write_whole(folder / f"{entities}_desc-wmh_measurements.json", json_bytes(measurements))

    def _place(self, series: InputSeries) -> tuple[Path, str]:
        """Folder and beginning of the names: the source's entities, or a subject label made of the series' name."""
        match = None if not series.is_nifti else _ENTITIES.match(series.source.name)
        # Another name than the file's: two sources have the same entities.
        if match is None or match[0] != series.name:
            # Labels hold letters and digits only: the digest keeps apart what differs in other signs.
            label = _NOT_A_LABEL.sub("", series.name)
            if label != series.name:
                label += hashlib.sha256(series.name.encode()).hexdigest()[:8]
            subject = f"sub-{label}"
            return self.root / subject / "anat", subject
        session = _SESSION.search(match[2])
        folder = self.root / match[1] / session[1] if session else self.root / match[1]
        return folder / "anat", match[1] + match[2]

    def _source(self, series: InputSeries) -> str:
        """A BIDS URI where the source is in the raw data set, else its name."""
        if self.raw is None or not series.source.absolute().is_relative_to(self.raw.absolute()):
            return series.source.name
        return f"bids:raw:{series.source.absolute().relative_to(self.raw.absolute()).as_posix()}"

    def has(self, series: InputSeries) -> bool:
        """Whether the measurements of a series, which are written last, are there."""
        folder, entities = self._place(series)
        return (folder / f"{entities}_desc-wmh_measurements.json").is_file()
