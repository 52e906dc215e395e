"""Corrections through real files, a real database and the confined child: what is taken, what is not, and why."""

from __future__ import annotations

import hashlib
import logging
import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import pydicom
import pytest
from highdicom.seg import SegmentationTypeValues
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from support.dicom_series import small_scan, write_scan
from support.feedback import WMH_CODE, AnalysedNode, Mask, packed
from support.peers import node_peer, peer
from support.result_cases import MODEL, segmentation_of

from db.audit import audit_entries
from db.records import FeedbackState
from dicom_node.feedback.read import FeedbackReader, read_corrected
from segmentation.regions import PUBLISHED_RULE
from segmentation.volume import FlairVolume

ACCEPTED, REFUSED, WAITING, OWN = (
    FeedbackState.ACCEPTED, FeedbackState.REFUSED, FeedbackState.WAITING, FeedbackState.OWN
)  # fmt: skip
_EXPORT = Path(__file__).resolve().parents[2] / "support" / "export_seg.js"


def _dsc(one: Mask, other: Mask) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


class TestAccepted:
    """Corrections by whatever tool."""

    @pytest.mark.slow
    def test_an_edited_result(self, node: AnalysedNode) -> None:
        """Our own SEG with other pixels: matched, and compared with the model's own mask, figure by figure."""
        mask, model = node.corrected_mask(), node.segmentation.mask
        one = node.corrected(node.edited(mask))
        assert (one.state, one.source_series_uid, one.job_id) == (ACCEPTED, node.series.series_instance_uid, 1)
        voxel_ml = FlairVolume(node.series.voxels, node.series.spacing_mm).voxel_volume_ml
        found = dict(one.comparison or {})
        assert found.pop("model") == {"name": MODEL.name, "version": MODEL.version, "digest": MODEL.digest}
        assert found.pop("job") == 1
        expected = {
            "dsc": _dsc(mask, model),
            "model_ml": model.sum() * voxel_ml,
            "corrected_ml": mask.sum() * voxel_ml,
            "added_ml": (mask & ~model).sum() * voxel_ml,
            "removed_ml": (model & ~mask).sum() * voxel_ml,
        }
        assert found == pytest.approx(expected)
        assert 0 < found["dsc"] < 1

    def test_who_and_when(self, node: AnalysedNode, capfd: pytest.CaptureFixture[str]) -> None:
        """The object's own words are kept; a person's name is in no log line and not in the audit."""

        def sign(seg: Dataset) -> None:
            seg.ContentCreatorName, seg.OperatorsName = "Doe^Jane^^Dr", "Tech^Tom"
            seg.ContentDate, seg.ContentTime = "20261124", "101112.5"

        one = node.corrected(node.edited(node.corrected_mask(), sign))
        assert (one.content_creator, one.operator, one.who) == ("Doe^Jane^^Dr", "Tech^Tom", "Doe^Jane^^Dr")
        assert one.content_time == "2026-11-24T10:11:12"
        assert (one.calling_ae_title, one.received_at) == ("READER", node.clock.now)
        told = [entry.detail + entry.who for entry in audit_entries(node.database)]
        captured = capfd.readouterr()
        for text in (*told, captured.out, captured.err):
            assert "Jane" not in text
            assert "Tom" not in text

    @pytest.mark.parametrize("kind", [SegmentationTypeValues.BINARY, SegmentationTypeValues.LABELMAP])
    def test_another_tool(self, node: AnalysedNode, kind: SegmentationTypeValues) -> None:
        """Empty frames left out, WMH the second of three segments, known by its label; binary or as a label map."""
        mask = node.corrected_mask()
        others = [np.zeros(mask.shape, bool) for _ in range(2)]
        others[0][1, 5:9, 5:9] = True
        others[1][0, 40:44, 30:35] = True
        mask &= ~others[0] & ~others[1]
        seg = node.by_tool({"Lateral ventricles": others[0], "WMH": mask, "skull": others[1]}, kind=kind)
        one = node.corrected(seg)
        assert (one.state, one.who) == (ACCEPTED, "Reader^Rita")
        assert (one.comparison or {})["dsc"] == pytest.approx(_dsc(mask, node.segmentation.mask))
        assert one.notes == ("Segment 2 of 3 counts as WMH, by its label or type.",)
        masks = read_corrected(node.storage / one.path, node.series)
        np.testing.assert_array_equal(masks.wmh, mask)
        np.testing.assert_array_equal(masks.ventricles, others[0])

    def test_frames_in_another_order(self, node: AnalysedNode) -> None:
        """Frames turned round, each with its place: what counts is where a frame says that it lies."""
        mask = node.corrected_mask()

        def turn_round(seg: Dataset) -> None:
            seg.PixelData = packed(mask[node.slices_of(seg)][::-1])
            seg.PerFrameFunctionalGroupsSequence = list(seg.PerFrameFunctionalGroupsSequence)[::-1]

        one = node.corrected(node.edited(mask, turn_round))
        assert (one.comparison or {})["dsc"] == pytest.approx(_dsc(mask, node.segmentation.mask))

    def test_mirrored_rows(self, node: AnalysedNode) -> None:
        """The same grid written from the other corner is the same grid."""
        mask = node.corrected_mask()

        def mirror(seg: Dataset) -> None:
            seg.PixelData = packed(mask[node.slices_of(seg), ::-1])
            shared = seg.SharedFunctionalGroupsSequence[0]
            cosines = shared.PlaneOrientationSequence[0].ImageOrientationPatient
            down, spacing = np.array(cosines[3:], float), float(shared.PixelMeasuresSequence[0].PixelSpacing[0])
            cosines[3:] = (-down).tolist()
            for group in seg.PerFrameFunctionalGroupsSequence:
                place = group.PlanePositionSequence[0]
                place.ImagePositionPatient = (
                    np.array(place.ImagePositionPatient, float) + down * spacing * (mask.shape[1] - 1)
                ).tolist()

        one = node.corrected(node.edited(mask, mirror))
        assert one.state is ACCEPTED, one.reason
        assert (one.comparison or {})["dsc"] == pytest.approx(_dsc(mask, node.segmentation.mask))

    def test_a_part_of_the_volume(self, node: AnalysedNode) -> None:
        """Only the slices with WMH, cropped: what is left out is empty."""
        part = small_scan().cropped(rows=slice(8, 40), columns=slice(8, 36), slices=slice(3, 6))
        files = write_scan(part, node.storage / "part")
        mask = np.zeros(part.stored.shape, bool)
        mask[1, 10:20, 10:15] = True
        seg = node.by_tool({"WMH": mask}, files=files)
        _refer_to(seg, node)
        one = node.corrected(seg)
        assert one.state is ACCEPTED, one.reason
        whole = read_corrected(node.storage / one.path, node.series).wmh
        np.testing.assert_array_equal(whole[3:6, 8:40, 8:36], mask)
        assert whole.sum() == mask.sum()

    @pytest.mark.peer("node")
    @pytest.mark.parametrize("rle", ["false", "true"])
    def test_dcmjs(self, node: AnalysedNode, tmp_path: Path, rle: str) -> None:
        """What the library under OHIF writes, plain, and compressed, which it does as FRACTIONAL of none and all."""
        mask = node.corrected_mask()
        # From head to feet, as dcmjs sorts images (and OHIF shows them), whatever order they are given in.
        (tmp_path / "labels").write_bytes(mask[::-1].astype(np.uint8).tobytes())
        command = [
            peer("node"), str(_EXPORT), str(node_peer("dcmjs")), str(tmp_path / "ohif.dcm"), rle,
            str(tmp_path / "labels"), *map(str, node.files[::-1]),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, done.stderr
        one = node.corrected(tmp_path / "ohif.dcm")
        assert one.state is ACCEPTED, one.reason
        np.testing.assert_array_equal(read_corrected(node.storage / one.path, node.series).wmh, mask)

    @pytest.mark.parametrize("kind", [SegmentationTypeValues.BINARY, SegmentationTypeValues.LABELMAP])
    def test_generic_codes(self, node: AnalysedNode, kind: SegmentationTypeValues) -> None:
        """A single segment of "Tissue", as OHIF and MONAI Label write it, is taken, and that is noted."""
        one = node.corrected(node.by_tool({"Segment 1": node.corrected_mask()}, kind=kind))
        assert one.state is ACCEPTED
        assert "does not say what is outlined" in one.notes[0]

    def test_several_segments_of_wmh(self, node: AnalysedNode) -> None:
        """WMH outlined in parts is the union of them."""
        mask = node.corrected_mask()
        first, second = mask.copy(), mask.copy()
        first[4:], second[:4] = False, False
        one = node.corrected(node.by_tool({"a": first, "b": second}, property_type=WMH_CODE))
        assert (one.comparison or {})["dsc"] == pytest.approx(_dsc(mask, node.segmentation.mask))
        assert "Segments 1, 2 of 2" in one.notes[0]

    def test_edited_regions(self, tmp_path: Path, reader: FeedbackReader) -> None:
        """The node's second segmentation, edited: periventricular and deep together are the WMH, and its ventricles
        are ventricles."""
        node = AnalysedNode(tmp_path, reader=reader)
        with closing(node.database):
            node.segmentation = segmentation_of(node.series, divided=PUBLISHED_RULE)
            node.receive_series()
            node.analyse()
            folder = node.outbox.of_job(1)
            assert folder is not None
            seg = pydicom.dcmread(folder / "regions.dcm")
            assert node.corrected(folder / "regions.dcm").state is OWN
            seg.SOPInstanceUID = seg.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            one = node.corrected(seg)
            assert (one.comparison or {})["dsc"] == 1, one.reason
            assert "Segments 1, 2 of 3" in one.notes[0]
            masks = read_corrected(node.storage / one.path, node.series)
            np.testing.assert_array_equal(masks.wmh, node.segmentation.mask)
            np.testing.assert_array_equal(masks.ventricles, node.segmentation.ventricles)

    def test_nothing_left(self, node: AnalysedNode) -> None:
        """A correction that wipes out everything is one: DSC 0, all removed."""
        one = node.corrected(node.edited(np.zeros_like(node.segmentation.mask)))
        assert one.state is ACCEPTED
        assert (one.comparison or {})["dsc"] == 0
        assert (one.comparison or {})["removed_ml"] == (one.comparison or {})["model_ml"]

    def test_the_second_supersedes_the_first(self, node: AnalysedNode) -> None:
        """Both are kept; the later one counts."""
        first = node.corrected(node.edited(node.corrected_mask()))
        second = node.corrected(node.edited(node.segmentation.mask))
        assert [row.id for row in node.feedback.list()] == [second.id]
        assert node.feedback.get(first.id).superseded_by == second.id
        assert "unchanged" in second.notes[-1]

    def test_without_references(self, node: AnalysedNode) -> None:
        """An object that names no series is matched by its images, or as the only analysed series of its study."""

        def only_images(seg: Dataset) -> None:
            del seg.ReferencedSeriesSequence

        def nothing(seg: Dataset) -> None:
            only_images(seg)
            for group in (*seg.SharedFunctionalGroupsSequence, *seg.PerFrameFunctionalGroupsSequence):
                group.pop("DerivationImageSequence", None)

        for forget in (only_images, nothing):
            one = node.corrected(node.edited(node.corrected_mask(), forget))
            assert (one.state, one.source_series_uid) == (ACCEPTED, node.series.series_instance_uid)
            assert "names no series" in one.notes[-1]

    def test_the_models_mask_is_gone(self, node: AnalysedNode) -> None:
        """A correction of a result that was removed by hand is kept anyway, and says so."""
        folder = node.outbox.of_job(1)
        seg = node.edited(node.corrected_mask())
        (folder / "seg.dcm").unlink()
        one = node.corrected(seg)
        assert (one.state, one.comparison) == (ACCEPTED, None)
        assert "no longer exists" in one.notes[-1]


class TestOurOwn:
    """What a PACS forwards to us."""

    def test_came_back(self, node: AnalysedNode) -> None:
        """Our result is no feedback, also when the PACS has changed its header."""
        seg = node.result
        seg.InstitutionName, seg.AccessionNumber = "ELSEWHERE", "7"
        assert node.corrected(seg).state is OWN
        assert node.feedback.list() == []

    def test_of_another_installation(self, node: AnalysedNode) -> None:
        """Another installation's result, unedited, is none either."""
        seg = node.edited(node.corrected_mask())
        uid = str(node.result.SOPInstanceUID)
        seg.SOPInstanceUID = seg.file_meta.MediaStorageSOPInstanceUID = f"{uid[:-1]}{(int(uid[-1]) + 1) % 10}"
        assert node.corrected(seg).state is OWN

    def test_edited_under_its_old_uid(self, node: AnalysedNode) -> None:
        """A script that forgot to give a new UID does not cost the radiologist's work."""
        uid = node.result.SOPInstanceUID

        def keep(seg: Dataset) -> None:
            seg.SOPInstanceUID = seg.file_meta.MediaStorageSOPInstanceUID = uid

        one = node.corrected(node.edited(node.corrected_mask(), keep))
        assert one.state is ACCEPTED
        assert "other pixels" in one.notes[0]


class TestKept:
    """What fits no series is kept, reported, and matched later."""

    def test_before_its_series(self, node: AnalysedNode, reader: FeedbackReader) -> None:
        """The correction first, then the series, then the analysis: reported at each step, accepted at the end."""
        seg = node.edited(node.corrected_mask())
        (node.storage / "fresh").mkdir()
        fresh = AnalysedNode(node.storage / "fresh", reader=reader)
        with closing(fresh.database):
            number = fresh.receive_correction(seg)
            assert (fresh.look(number).state, fresh.look(number).code) == (WAITING, "no_series")
            fresh.receive_series()
            assert fresh.look(number).code == "not_analysed"
            job = fresh.jobs.enqueue(fresh.series.series_instance_uid, fresh.series.files_digest, 8)
            assert fresh.look(number).code == "no_result"
            assert f"job {job.id} is queued" in (fresh.feedback.get(number).reason or "")
            fresh.analyse()
            assert fresh.matcher.step() > 0, "it is not due yet"
            fresh.clock.pass_seconds(3)
            assert fresh.matcher.step() == 0
            one = fresh.feedback.get(number)
            assert (one.state, one.code, one.reason) == (ACCEPTED, None, None)
            actions = [entry.action for entry in audit_entries(fresh.database)]
            assert actions[0] == "feedback accepted"
            assert set(actions[1:]) == {"feedback fits no series yet"}

    def test_no_reference_and_two_series(self, node: AnalysedNode) -> None:
        """Without references and without a study that was analysed, nothing is guessed: it is kept, with what to do."""

        def forget(seg: Dataset) -> None:
            for name in ("ReferencedSeriesSequence", "SourceImageSequence", "ReferencedImageSequence"):
                seg.pop(name, None)
            seg.StudyInstanceUID = generate_uid()
            for group in (*seg.SharedFunctionalGroupsSequence, *seg.PerFrameFunctionalGroupsSequence):
                group.pop("DerivationImageSequence", None)

        one = node.corrected(node.edited(node.corrected_mask(), forget))
        assert (one.state, one.code) == (WAITING, "no_reference")
        assert "export it again with references" in (one.reason or "")

    def test_waits_ever_longer(self, node: AnalysedNode) -> None:
        """What fits nothing for a month does not keep the matcher busy."""
        seg = node.edited(node.corrected_mask(), lambda one: _refer_to(one, node, generate_uid()))
        number = node.receive_correction(seg)
        for seconds, least in ((0, 2), (800, 100), (30 * 86_400, 6 * 3600)):
            node.clock.pass_seconds(seconds)
            one = node.look(number)
            assert (one.not_before - node.clock.now).total_seconds() == pytest.approx(least)

    @pytest.mark.parametrize("whose", ["its own", "the series'"])
    def test_a_damaged_file_is_waited_for(self, node: AnalysedNode, whose: str) -> None:
        """A file that rotted on the disk refuses nothing: the resend mends it."""
        number = node.receive_correction(node.edited(node.corrected_mask()))
        path = node.feedback.get(number).path
        if whose != "its own":
            path = node.inbox.instances_of(node.series.series_instance_uid)[3].path
        content = (node.storage / path).read_bytes()
        (node.storage / path).write_bytes(content[: len(content) // 2])
        one = node.look(number)
        assert (one.state, one.code) == (WAITING, "file_damaged" if whose == "its own" else "series_damaged")
        (node.storage / path).write_bytes(content)
        assert node.look(number).state is ACCEPTED

    def test_the_storage_is_away(self, node: AnalysedNode) -> None:
        """A mount that is lost makes every file unreadable: nothing is refused, no attempt is counted."""
        number = node.receive_correction(node.edited(node.corrected_mask()))
        for name in ("inbox", "outbox"):
            (node.storage / name).rename(node.storage / f"away-{name}")
        one = node.look(number)
        assert (one.state, one.code, one.attempts) == (WAITING, None, 0)
        for name in ("inbox", "outbox"):
            (node.storage / f"away-{name}").rename(node.storage / name)
        assert node.look(number).state is ACCEPTED

    def test_something_unexpected(self, node: AnalysedNode, monkeypatch: pytest.MonkeyPatch) -> None:
        """An error of ours is tried some times, then it is the reason; the file is kept, and a person may retry."""
        number = node.receive_correction(node.edited(node.corrected_mask()))

        def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError("a patient's value")

        monkeypatch.setattr(node.reader, "examine", fail)
        for _ in range(5):
            one = node.look(number)
        assert (one.state, one.code) == (REFUSED, "unexpected_error")
        assert "patient" not in (one.reason or "")
        monkeypatch.undo()
        node.feedback.look_again(number, "alice@lab")
        assert node.look(number).state is ACCEPTED


class TestRefused:
    """What cannot be a correction is refused with a reason."""

    @pytest.mark.parametrize(
        ("labels", "words"),
        [
            (("tumour",), "The only segment does not say that it shows white matter hyperintensities"),
            (("left", "right"), "Name the segment"),
            (("White matter", "Grey matter", "CSF"), "None of the 3 segments"),
        ],
    )
    def test_something_else_is_outlined(self, node: AnalysedNode, labels: tuple[str, ...], words: str) -> None:
        """A tumour, two sides of something, the tissues of a brain."""
        mask = node.corrected_mask()
        masks = {label: np.roll(mask, number, axis=0) for number, label in enumerate(labels)}
        one = node.corrected(node.by_tool(masks))
        assert (one.state, one.code) == (REFUSED, "no_wmh_segment")
        assert words in (one.reason or "")
        assert one.source_series_uid == node.series.series_instance_uid

    def test_fractional(self, node: AnalysedNode) -> None:
        """Probabilities are no outline."""
        one = node.corrected(node.by_tool({"WMH": node.corrected_mask()}, kind=SegmentationTypeValues.FRACTIONAL))
        assert (one.state, one.code) == (REFUSED, "seg_not_binary")
        assert "FRACTIONAL" in (one.reason or "")

    @pytest.mark.parametrize("step", [2, 1.5])
    def test_another_grid(self, node: AnalysedNode, step: float) -> None:
        """Voxels twice as large lie on every second one of the FLAIR, and are not taken for them."""

        def coarse(seg: Dataset) -> None:
            measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
            measures.PixelSpacing = [float(row) * step for row in measures.PixelSpacing]

        mask = np.zeros_like(node.segmentation.mask)
        mask[3, 4:12:2, 4:12:2] = True
        one = node.corrected(node.edited(mask, coarse))
        assert (one.state, one.code) == (REFUSED, "seg_on_other_grid")
        assert "resample it to the FLAIR" in (one.reason or "")
        assert ".dcm" not in (one.reason or "")

    def test_slices_twice_as_far_apart(self, node: AnalysedNode) -> None:
        """Drawn on every second slice of a coarser volume: the slices between are unknown."""

        def coarse(seg: Dataset) -> None:
            measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
            measures.SpacingBetweenSlices = 2 * node.series.spacing_mm[0]

        assert node.corrected(node.edited(node.corrected_mask(), coarse)).code == "seg_on_other_grid"

    def test_another_frame_of_reference(self, node: AnalysedNode) -> None:
        """Registered to something else."""
        seg = node.edited(node.corrected_mask(), lambda seg: setattr(seg, "FrameOfReferenceUID", generate_uid()))
        assert node.corrected(seg).code == "other_frame_of_reference"

    def test_hostile_bytes(self, node: AnalysedNode, caplog: pytest.LogCaptureFixture) -> None:
        """Junk, a cut-off file, an object of another kind, and lies about sizes end as a reason; the next one is
        looked at as if nothing had been."""
        caplog.set_level(logging.DEBUG)
        good = node.edited(node.corrected_mask())

        def lies(keyword: str, value: object) -> pydicom.Dataset:
            return node.edited(node.corrected_mask(), lambda seg: setattr(seg, keyword, value))

        hostile: list[pydicom.Dataset | bytes] = [
            b"\xff" * 600,
            b"\0" * 128 + b"DICM" + hashlib.sha256(b"noise").digest() * 40,
            lies("NumberOfFrames", 2**31 - 1),
            lies("Rows", 65535),
            lies("PixelData", b"\1\2"),
            lies("SegmentSequence", []),
            lies("SegmentationType", "Doe^Jane"),
            lies("SOPClassUID", "1.2.840.10008.5.1.4.1.1.4"),
        ]
        for seg in hostile:
            if isinstance(seg, pydicom.Dataset) and seg.SOPClassUID.endswith("1.4"):
                seg.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
                with pytest.raises(ValueError, match="unpack"):  # an MR image is no feedback
                    node.receive_correction(seg)
                continue
            one = node.corrected(seg)
            assert one.state is REFUSED, one.reason
            assert len(one.reason or "") > 20
            assert "Jane" not in (one.reason or "")
        assert node.corrected(good).state is ACCEPTED


def _refer_to(seg: Dataset, node: AnalysedNode, series_uid: str | None = None) -> None:
    """Make it a segmentation of the node's series, or of an unknown series."""
    item = seg.ReferencedSeriesSequence[0]
    item.SeriesInstanceUID = series_uid or node.series.series_instance_uid
    seg.FrameOfReferenceUID = node.series.frame_of_reference_uid
    seg.StudyInstanceUID = node.series.study_instance_uid
