"""A test call of a destination: what it answers now, as sentences for a person."""

from __future__ import annotations

from collections.abc import Sequence

from dicom_node.deliver.look import look_at
from dicom_node.deliver.send import echo, rejected_classes
from dicom_node.deliver.send.result_classes import classes_of, remedy, words_of_class
from dicom_node.node.destinations import AnyDestination, Destination
from dicom_node.node.errors import DeliveryError
from dicom_node.node.settings import Settings


def call_destination(settings: Settings, destination: AnyDestination) -> Sequence[str]:
    """Call it as a delivery does: a DICOM peer by C-ECHO and the classes of its results, the
    others by a look.
    """
    tls = settings.client_tls(destination)
    try:
        if not isinstance(destination, Destination):
            return [look_at(destination, tls)]
        wanted = classes_of(destination.options)
        echo(destination, calling_ae_title=settings.ae_title, tls=tls)
        rejected = rejected_classes(destination, wanted, calling_ae_title=settings.ae_title, tls=tls)
    except DeliveryError as error:
        return [f"It does not answer as a delivery needs: {error}"]
    if rejected:
        refused = ", ".join(map(words_of_class, rejected))
        return ["It answers C-ECHO.", f"It does not accept: {refused}.", remedy(rejected, destination.options)]
    return ["It answers C-ECHO.", f"It accepts {', '.join(map(words_of_class, wanted))}."]
