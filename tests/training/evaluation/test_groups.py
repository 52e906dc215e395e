"""Groups of cases, and which one is drawn."""

from __future__ import annotations

from support.evaluations import made_up_records

from training.evaluation.document import EvaluationSettings
from training.evaluation.groups import figure_group, groups_of
from training.evaluation.paper import PAPER, paper_figure
from training.evaluation.statistics import statistics_of


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
    """Each number of the paper's table belongs to a statistic that is computed (the UNet's are the baselines')."""
    computed = {item.name for item in statistics_of(groups_of(made_up_records(12)), EvaluationSettings())}
    assert {name for name, _ in PAPER if not name.startswith("unet_")} <= computed


def test_the_paper_stands_beside_the_right_group() -> None:
    """Internal test 0.675, external 0.722, which stands beside a cohort without splits too; a single site has none."""
    found = {group: paper_figure("dsc_mean", group) for group in ("split:test", "external", "all", "site:A")}
    assert [found[g].value for g in ("split:test", "external", "all")] == [0.675, 0.722, 0.722]  # type: ignore[union-attr]
    assert found["site:A"] is None
