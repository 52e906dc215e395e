"""Cases are planned with, one in memory at a time, and read again only when their files change."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.labelled_cases import labelled_case, write_case, write_cohort, write_nifti

import training.data.cases as cases_module
from training.data.case_facts import CaseFacts
from training.data.cases import LabelledCase, load_cases, open_case, open_cases
from training.data.cohort import PatientRow
from training.data.facts_index import FactsIndex
from training.errors import BadCase


def test_opened_cases_are_the_loaded_ones(tmp_path: Path) -> None:
    """A case on disk says of itself, before and after loading, what the same case in memory says."""
    data = write_cohort(tmp_path / "data", 3)
    for opened, loaded in zip(open_cases(data, None, FactsIndex()), load_cases(data), strict=True):
        assert opened.facts == loaded.facts == CaseFacts.from_json(loaded.facts.as_json())
        assert (opened.name, opened.patient, opened.wmh_ml) == (loaded.name, loaded.patient, loaded.wmh_ml)
        np.testing.assert_array_equal(opened.load().volume.voxels, loaded.volume.voxels)


def test_each_mask_counts(tmp_path: Path) -> None:
    """Another image, mask or spacing is another digest."""
    case = labelled_case("a")
    others = [
        replace(case, wmh=~case.wmh),
        replace(case, brain=None),
        replace(case, ignore=case.wmh),
        replace(case, raters={"x": case.wmh}),
        replace(case, volume=labelled_case("a", seed=1).volume),
        replace(case, volume=replace(case.volume, spacing_mm=(5.0, 1.0, 2.0))),
    ]
    assert len({found.facts.digest for found in (case, *others)}) == 1 + len(others)


def test_known_cases_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second start reads nothing; a file that changed, or a new one, is read."""
    data, index = write_cohort(tmp_path / "data", 3), tmp_path / "run" / "case-facts.json"
    known = FactsIndex(index)
    first = open_cases(data, None, known)
    known.save()
    read: list[str] = []
    load = cases_module._load_case

    def count(path: Path, row: PatientRow) -> LabelledCase:
        read.append(path.name)
        return load(path, row)

    monkeypatch.setattr(cases_module, "_load_case", count)
    assert [case.facts for case in open_cases(data, None, FactsIndex(index))] == [case.facts for case in first]
    assert read == []
    write_nifti(data / "p1" / "wmh.nii.gz", labelled_case("x").wmh)
    write_case(data, labelled_case("p3"))
    changed = FactsIndex(index)
    assert len(open_cases(data, None, changed)) == 4
    changed.save()
    open_cases(data, None, FactsIndex(index))
    assert read == ["p1", "p3"]


def test_a_case_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    """The facts of the old mask are not kept for the new one: "run it again" would never help."""
    data, known = write_cohort(tmp_path / "data", 1), FactsIndex()

    def read() -> LabelledCase:
        found = load_cases(data)[0]
        write_nifti(data / "p0" / "ignore.nii.gz", ~found.wmh)
        return found

    open_case(data / "p0", PatientRow("p0", "p0"), read, known)
    assert known.facts_of(data / "p0") is None
    assert open_cases(data, None, known)[0].load().ignore is not None


def test_an_index_of_another_version_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version may read an image otherwise: facts of it would refuse the case for ever."""
    data, index = write_cohort(tmp_path / "data", 1), tmp_path / "case-facts.json"
    known = FactsIndex(index)
    open_cases(data, None, known)
    known.save()
    assert FactsIndex(index).facts_of(data / "p0") is not None
    monkeypatch.setattr("training.data.facts_index.version", lambda _: "9.9")
    assert FactsIndex(index).facts_of(data / "p0") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 9, "cases": {}}', '{"schema": 1, "cases": {"a": 1}}'])
def test_an_index_that_cannot_be_read_is_begun_anew(tmp_path: Path, text: str) -> None:
    """A damaged index costs time and nothing else."""
    data, index = write_cohort(tmp_path / "data", 2), tmp_path / "case-facts.json"
    index.write_text(text)
    known = FactsIndex(index)
    assert len(open_cases(data, None, known)) == 2
    known.save()
    assert FactsIndex(index).facts_of(data / "p0") is not None


def test_a_case_that_changes_meanwhile_is_named(tmp_path: Path) -> None:
    """What is loaded later must be what was planned with."""
    data = write_cohort(tmp_path / "data", 2)
    cases = open_cases(data, None, FactsIndex())
    write_nifti(data / "p1" / "wmh.nii.gz", np.zeros((3, 32, 32), bool))
    with pytest.raises(BadCase, match="p1: its image or masks changed since this command began"):
        cases[1].load()


def test_a_case_that_is_gone_meanwhile_is_named(tmp_path: Path) -> None:
    """A folder that was moved away is a bad case, not a full disk of the slices."""
    data = write_cohort(tmp_path / "data", 1)
    (case,) = open_cases(data, None, FactsIndex())
    shutil.rmtree(data / "p0")
    with pytest.raises(BadCase, match="p0: it can no longer be read"):
        case.load()
