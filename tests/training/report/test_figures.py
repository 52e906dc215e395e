"""Figures: drawn for any cohort, without touching what else matplotlib does in the process."""

from __future__ import annotations

import base64
import subprocess
import sys

import numpy as np
import pytest
from support.evaluations import made_up_evaluation, made_up_shown_cases

from training.evaluate.document import SampleGroup, TrainingSizeCurve, ViolinFigure
from training.report.figures.case_bars import draw_case_bars
from training.report.figures.representative import draw_representative, edges
from training.report.figures.style import Drawing, NotDrawn, p_words, short
from training.report.figures.training_size import draw_training_size
from training.report.figures.violins import draw_violins


def test_global_state_is_untouched() -> None:
    """No pyplot, no other backend, no changed setting: a caller's own plots keep theirs."""
    program = (
        "import sys, matplotlib\n"
        "look = lambda: {k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != 'backend'}\n"  # asked: pyplot
        "before = look()\n"
        "from support.evaluations import made_up_evaluation, made_up_shown_cases\n"
        "from training.report.html import report_html\n"
        "report_html(made_up_evaluation(), made_up_shown_cases())\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert look() == before\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["dicom_node.receive.run", "dicom_node.serve.work_role", "dicom_node.cli.main"])
def test_the_node_never_loads_matplotlib(module: str) -> None:
    """Receiver and worker do not pay for figures, and neither does `--help`."""
    program = f"import sys, {module}; assert not {{'matplotlib', 'jinja2'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_outlines_follow_the_pixels_edges() -> None:
    """One pixel has four edges, half a pixel from its centre; two neighbours share none."""
    mask = np.zeros((4, 5), bool)
    mask[1, 3] = True
    lines = {frozenset(map(tuple, line)) for line in edges(mask)}
    corners = {(x, y) for line in lines for x, y in line}
    assert len(lines) == 4
    assert corners == {(2.5, 0.5), (3.5, 0.5), (2.5, 1.5), (3.5, 1.5)}
    mask[1, 4] = True  # at the border of the image, which counts as unmarked outside
    assert len(edges(mask)) == 6


def test_few_equal_or_no_values_are_drawn_or_said() -> None:
    """No density of one value, of equal values, or of an empty group; nothing at all is said in words."""
    same = SampleGroup(label="same", values=(0.5,) * 20)
    one, none = SampleGroup(label="one", values=(0.3,)), SampleGroup(label="none", values=())
    figure = ViolinFigure(figure="1A", title="t", x_label="x", y_label="y", groups=(same, one, none))
    drawn = draw_violins(figure)
    assert isinstance(drawn, Drawing)
    assert "same: n = 20, median 0.500" in drawn.alt
    assert isinstance(draw_violins(figure.model_copy(update={"groups": (none,)})), NotDrawn)


@pytest.mark.parametrize("count", [1, 2, 11, 61, 300])
def test_bars_for_any_number_of_cases(count: int) -> None:
    """From one case to hundreds."""
    drawn = draw_case_bars(made_up_evaluation(count + 60).cases[:count])
    assert isinstance(drawn, Drawing)
    assert f"each of {count} cases" in drawn.alt


def test_pictures_are_what_they_say() -> None:
    """SVG for lines, PNG for pixels, without a date; a case name that looks like a broken formula is plain text."""
    picture = draw_representative(
        [made_up_shown_cases()[0].__class__(**{**vars(made_up_shown_cases()[0]), "case": "a$b_{"})]
    )
    assert isinstance(picture, Drawing)
    assert base64.b64decode(picture.uri.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    bars = draw_case_bars(made_up_evaluation().cases)
    assert isinstance(bars, Drawing)
    text = base64.b64decode(bars.uri.removeprefix("data:image/svg+xml;base64,")).decode()
    assert text.rstrip().endswith("</svg>")
    assert "<dc:date>" not in text


def test_no_sizes_no_curve() -> None:
    """Without a training of several sizes the figure says why."""
    assert draw_training_size(TrainingSizeCurve(note="not asked for")) == NotDrawn("not asked for")


def test_words() -> None:
    """P as the paper writes it; long names are cut visibly."""
    assert [p_words(p) for p in (None, 0.0004, 0.031, 1.0)] == ["P undefined", "P < .001", "P = .031", "P = 1.000"]
    assert short("abcdef", 4) == "abc…"
