"""In which form a destination has an earlier report of the patient.

A form depends on the size of the frames (`Profile.form_for`), and the earlier scan may have had another: what is BINARY
now was OCCUPANCY then. A report must not name one that the PACS has never got.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dicom_node.node.profiles import DeliveryOptions, ObjectKind, SegForm

Size = tuple[int, int]
"""Rows and columns of frames."""


def earlier_forms(
    all_options: Collection[DeliveryOptions], now: Size, earlier: Size | None
) -> Mapping[SegForm, SegForm]:
    """The form of the earlier report, by the form of the present one; only where the two differ.

    One present report may go to destinations that were sent different forms then; it names the one of its own form, as
    it does where the earlier size is not known.

    Args:
        all_options: of the destinations.
        now: of the present frames.
        earlier: of the earlier ones.
    """
    if earlier is None:
        return {}
    then: dict[SegForm, set[SegForm]] = {}
    for profile in (options.profile for options in all_options if ObjectKind.SR in options.kinds):
        then.setdefault(profile.form_for(*now), set()).add(profile.form_for(*earlier))
    # Of several there is always the present one: a size changes a form only to OCCUPANCY or back.
    return {form: forms.pop() for form, forms in then.items() if form not in forms}
