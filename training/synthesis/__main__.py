"""`python -m training.synthesis --label-maps DIR --out DIR --count N`: synthetic scans as training cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from training.synthesis.drawn import draw_cases


def main(
    label_maps: Annotated[Path, typer.Option(help="folder with heads/ and lesions/")],
    out: Annotated[Path, typer.Option(help="folder for the case folders")],
    count: Annotated[int, typer.Option(help="number of scans", min=1)] = 160,
    first_seed: Annotated[int, typer.Option(help="seed of the first one")] = 0,
) -> None:
    """Write synthetic scans; heads take turns. A scan that is there already is kept."""
    with Progress() as progress:
        task = progress.add_task("synthetic scans", total=count)
        draw_cases(label_maps, out, count, lambda done, _: progress.update(task, completed=done), first_seed)


if __name__ == "__main__":
    typer.run(main)
