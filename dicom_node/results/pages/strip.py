"""A strip of slices in one picture: what a contact sheet shows of a series."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from PIL import Image, ImageDraw

from dicom_node.results.common.volume_words import millilitres
from dicom_node.results.pages.content import Content
from dicom_node.results.pages.display import head_mask
from dicom_node.results.pages.layout import colour_of_whole
from dicom_node.results.pages.lettering import SMALL, TEXT, write_over_image
from dicom_node.results.pages.montage import choose_slices, key_slices, lay_montage

SIDE: Final = 220
_QUALITY: Final = 80


def draw_strip(content: Content) -> bytes:
    """The slices with most WMH, outlined, side by side from feet to head: JPEG, `SIDE` pixels high, RGB.

    Each has its volume; there is no name and no ID in it.
    """
    head = head_mask(content.volume.stored)
    keys = key_slices(content.outlined.wmh, choose_slices(content.outlined.wmh, head))
    montage = lay_montage(content.volume, content.affine_lps, content.outlined, keys, head)
    panels = [montage.panel(index, (SIDE, SIDE)) for index in keys]
    image = Image.new("RGB", (SIDE * len(panels), SIDE))
    draw = ImageDraw.Draw(image)
    for place, panel in enumerate(panels):
        height, width = panel.image.shape[:2]
        left = place * SIDE
        image.paste(Image.fromarray(panel.image), (left + (SIDE - width) // 2, (SIDE - height) // 2))
        write_over_image(
            draw, (left + 6, 4), content.slice_names[panel.index].removeprefix("image "), SMALL, TEXT, "la"
        )
        if panel.wmh_ml > 0 and content.is_reliable:
            volume = millilitres(panel.wmh_ml)
            write_over_image(draw, (left + SIDE - 6, SIDE - 4), volume, SMALL, colour_of_whole(content), "rd")
    stream = BytesIO()
    image.save(stream, format="JPEG", quality=_QUALITY)
    return stream.getvalue()
