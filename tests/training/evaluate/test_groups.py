"""Groups of cases, and which one is drawn."""

from __future__ import annotations

from support.evaluations import made_up_records

from training.evaluate.architecture import SE_UNET, UNET
from training.evaluate.document import EvaluationSettings
from training.evaluate.groups import figure_group, groups_of, is_divided
from training.evaluate.paper import PAPER, STRATA, PaperReference, external_mean
from training.evaluate.statistics import statistics_of
from training.evaluate.stratify import stratifications


def test_external_is_apart_and_drawn() -> None:
    """With external patients: internal, external, each split and each site are summed up, and external is drawn."""
    records = made_up_records(12)
    groups = groups_of(records)
    assert set(groups) == {
        "all", "internal", "external", "split:validation", "split:test", "site:Ilsan", "site:Jeju", "site:Osaka",
    }  # fmt: skip
    assert {r.split for r in groups["external"]} == {"external"}
    assert len(groups["internal"]) + len(groups["external"]) == 12
    assert figure_group(records) == "external"


def test_without_external_the_test_part_is_drawn() -> None:
    """Training patients are never drawn where test patients are there."""
    records = [r.model_copy(update={"split": "test" if i % 2 else "train"}) for i, r in enumerate(made_up_records(6))]
    assert figure_group(records) == "split:test"
    blank = [r.model_copy(update={"split": "", "site": ""}) for r in records]
    assert set(groups_of(blank)) == {"all"}
    assert figure_group(blank) == "all"


def test_every_figure_of_the_paper_finds_its_place() -> None:
    """Each number of the paper's tables, of both networks, belongs to a statistic that is computed."""
    computed = {item.name for item in statistics_of(groups_of(made_up_records(12)), EvaluationSettings())}
    assert {name for table in PAPER.values() for name, _ in table} <= computed


def test_the_paper_stands_beside_the_right_group() -> None:
    """Internal test 0.675, external 0.722, which stands beside a cohort without splits too; a single site has none."""
    found = {group: PaperReference().figure("dsc_mean", group) for group in ("split:test", "external", "all", "site:A")}
    assert [found[g].value for g in ("split:test", "external", "all")] == [0.675, 0.722, 0.722]  # type: ignore[union-attr]
    assert found["site:A"] is None


def test_all_cases_of_a_cohort_with_splits_have_no_number_of_the_paper() -> None:
    """A test part alone is `split:test` and `all`, the same cases: beside 0.675 once, and not beside 0.722 too."""
    for split in ("test", "external", "train"):
        records = [record.model_copy(update={"split": split}) for record in made_up_records(6)]
        found = statistics_of(groups_of(records), EvaluationSettings())
        papers = {item.group: item.paper and item.paper.value for item in found if item.name == "dsc_mean"}
        assert papers["all"] is None
        assert papers.get("split:test", 0.675) == 0.675
        assert papers.get("external", 0.722) == 0.722
    blank = [record.model_copy(update={"split": ""}) for record in made_up_records(6)]
    assert not is_divided(groups_of(blank))
    found = statistics_of(groups_of(blank), EvaluationSettings())
    assert {item.paper and item.paper.value for item in found if (item.name, item.group) == ("dsc_mean", "all")} == {
        0.722
    }


def test_a_unet_stands_beside_the_papers_unet() -> None:
    """DSC, Hausdorff distance, time and r are the UNet's; what the paper gives for its SE-UNet alone is left out."""
    ours = {
        network: {
            item.name: item.paper for item in statistics_of({"all": made_up_records(6)}, EvaluationSettings(), network)
        }
        for network in (UNET, SE_UNET)
    }
    names = ("dsc_mean", "hd_mm_mean", "hd_pixels_mean", "milliseconds_mean", "volume_r", "ventricle_dsc_mean")
    values = {network: [found[name].value for name in names] for network, found in ours.items()}  # type: ignore[union-attr]
    assert values[UNET] == [0.710, 10.44, 10.44, 67.0, 0.917, 0.9034]
    assert values[SE_UNET] == [0.722, 8.98, 8.98, 74.0, 0.933, 0.9034]
    assert ours[UNET]["volume_ccc"] is None
    assert ours[SE_UNET]["volume_ccc"] is not None
    assert PaperReference(UNET).figure("dsc_mean", "split:test") == PAPER[UNET]["dsc_mean", "split:test"]
    assert all(
        PaperReference(UNET).stratum(*key) is None and PaperReference().stratum(*key) is not None for key in STRATA
    )


def test_what_the_paper_measured_in_the_plane_does_not_stand_beside_3d() -> None:
    """The paper's periventricular and deep DSC are by the 2D rule; by 3D they are left out, and the rest stays."""
    settings = EvaluationSettings(distance_rule="3d")
    found = {item.name: item for item in statistics_of({"all": made_up_records(6)}, settings)}
    for name in ("pv_dsc_mean", "deep_dsc_mean", "pv_dsc_7mm5_mean", "deep_dsc_7mm5_mean"):
        assert found[name].paper is None
        assert found[name].title.endswith(" mm in 3D)")
    assert found["dsc_mean"].paper is not None
    strata = {item.name: item for item in stratifications(made_up_records(6), PaperReference(distance_rule="3d"))}
    assert [row.paper for name in ("region_10mm", "region_7mm5") for row in strata[name].rows] == [None] * 4
    assert "within 10 mm in 3D of the ventricles" in strata["region_10mm"].title
    assert strata["wmh_tertile"].rows[0].paper is not None
    published = {item.name: item for item in stratifications(made_up_records(6))}["region_10mm"]
    assert [row.paper and row.paper.value for row in published.rows] == [0.751, 0.617]


def test_a_contender_finds_the_papers_mean_by_its_network() -> None:
    """By the words of its architecture: UNet 0.710 and 10.44, SE-UNet 0.722 and 8.98; a rule, or surface Dice: none."""
    unet, se_unet = "5 x unet, published, width 0.5, recipe r", "1 x se-unet, text, width 1, recipe r"
    found = [external_mean(column, words) for words in (unet, se_unet) for column in ("dsc", "hd_mm")]
    assert [paper and paper.number for paper in found] == ["0.710", "10.44", "0.722", "8.98"]
    assert external_mean("surface_dice", unet) is None
    assert external_mean("dsc", "3.5 robust SD above the slice's mode") is None
