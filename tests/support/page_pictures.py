"""The pictures of the page in docs/images: python tests/support/page_pictures.py

The shipped model analyses phantoms, on this machine; a real patient is in none of them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from PIL import Image  # noqa: E402
from support.data import REPOSITORY  # noqa: E402
from support.page_browser import View, look, pages_of, served  # noqa: E402
from support.page_node import close_page_node, make_page_node  # noqa: E402
from support.worker_setting import READER  # noqa: E402

from segmentation.bundle import load_bundle, reference_bundle  # noqa: E402
from segmentation.ensemble import open_ensemble  # noqa: E402

IMAGES = REPOSITORY / "docs" / "images"
PICTURES = (
    ("start", "dark", View("doc", 1280, 760, judged=False)),
    ("job-late", "dark", View("doc", 1280, 1000, judged=False)),
    ("jobs", "light", View("doc", 1280, 520, judged=False)),
)
NAMES = {"job-late": "page-job.png", "start": "page-start.png", "jobs": "page-jobs.png"}


def main(keep: Path | None) -> None:
    """Make them; with a folder, also every page there at some sizes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ensemble = open_ensemble(load_bundle(reference_bundle()), "openvino")
        node = make_page_node(
            folder / "node", ensemble, matrix=256, slices=30, elements={}, scanners=("MR_1", "MR_2", "MR_3"), plain=True
        )
        try:
            with served(node) as url:
                for name, theme, view in PICTURES:
                    pages = {name: pages_of(node)[name]}
                    look(url, folder / "shots", pages, (view,), (theme,), whole=False)
                    _save(folder / "shots" / f"{name}-doc-{theme}.png", IMAGES / NAMES[name])
                if keep is not None:
                    look(url, keep, pages_of(node))
        finally:
            close_page_node(node)
            READER.close()


def _save(picture: Path, target: Path) -> None:
    """As small as a picture in a repository should be: a palette of 256 colours."""
    Image.open(picture).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(target, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
