"""How numbers and groups are written on the page."""

from __future__ import annotations

from typing import Final

from training.evaluate.document import PaperFigure, Statistic

UNDEFINED: Final = "–"

_DECIMALS: Final = {"": 3, "mm": 2, "mL": 2, "ms": 1, "pixels": 2, "%": 1, "s": 2}
_GROUPS: Final = {"all": "all cases", "internal": "internal cases", "external": "external cases"}


def number(value: float | None, unit: str = "") -> str:
    """A number with the decimals that its unit deserves, and the unit behind a thin gap; a dash for None."""
    if value is None:
        return UNDEFINED
    return f"{_plain(value, unit)}{suffix(unit)}"


def with_interval(statistic: Statistic) -> str:
    """`0.700 (0.680 to 0.720) mL`: value, 95 % CI and unit; a dash where there is no value."""
    if statistic.value is None:
        return UNDEFINED
    text = _plain(statistic.value, statistic.unit)
    if statistic.ci_low is not None and statistic.ci_high is not None:
        text += f" ({_plain(statistic.ci_low, statistic.unit)} to {_plain(statistic.ci_high, statistic.unit)})"
    return text + suffix(statistic.unit)


def interval(low: float | None, high: float | None, unit: str = "") -> str:
    """`0.680 to 0.720`; a dash where it is undefined."""
    return UNDEFINED if low is None or high is None else f"{_plain(low, unit)} to {_plain(high, unit)}"


def p_value(p: float | None) -> str:
    """`< .001` or `.031`, as the paper writes it; a dash for None."""
    if p is None:
        return UNDEFINED
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def paper_number(paper: PaperFigure | None, unit: str = "") -> str:
    """The paper's number with its interval, and the unit if the paper states it; empty where it has no number."""
    return "" if paper is None else f"{paper.text}{suffix(unit) if paper.is_unit_stated else ''}"


def sentences(*parts: str) -> str:
    """Remarks one after the other, each with a large first letter; empty ones are left out."""
    return ". ".join(capital(part).rstrip(".") for part in parts if part)


def capital(text: str) -> str:
    """First letter large; a lone letter is a symbol and stays (`r of volumes`), and so does a file's name."""
    is_name = text[1:2] == " " or "." in text.partition(" ")[0]
    return text if is_name else text[:1].upper() + text[1:]


def group_words(group: str) -> str:
    """`external cases`, `site Osaka`, `split test`."""
    if group in _GROUPS:
        return _GROUPS[group]
    kind, _, name = group.partition(":")
    return f"{kind} {name}" if name else group


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 case`, `2 cases`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def suffix(unit: str) -> str:
    """The unit with the gap before it."""
    return f"\N{NO-BREAK SPACE}{unit}" if unit else ""


def _plain(value: float, unit: str) -> str:
    return f"{value:,.{_DECIMALS.get(unit, 3)}f}"
