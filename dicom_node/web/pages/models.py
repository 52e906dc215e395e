"""Models: which one is live, their cards and evaluations, and the way back."""

from __future__ import annotations

from starlette.responses import Response

from db.errors import NoEarlierModel
from dicom_node.models.choice import store_of
from dicom_node.models.evaluation import mean_dsc
from dicom_node.web.answers import page, refusal, to
from dicom_node.web.visit import Visit
from segmentation.bundle import CARD_NAME
from segmentation.errors import SegmentationError


def show(visit: Visit) -> Response:
    """`GET /models`."""
    table = visit.site.models
    found = table.list()
    promotions = table.promotions()
    return page(
        visit,
        "models.html",
        models=[(model, mean_dsc(model.evaluation)) for model in found],
        live=promotions[0] if promotions else None,
        promotions=promotions[:20],
        names={model.digest: f"{model.name} {model.version}" for model in found},
        pinned=visit.site.settings.model,
        may_roll_back=bool(promotions) and promotions[0].previous_id is not None,
    )


def show_one(visit: Visit) -> Response:
    """`GET /models/{digest}`: the card as it is, and the checks of its promotions."""
    model = visit.site.models.get(visit.path_values["digest"])
    store = store_of(visit.site.settings)
    try:
        card = (store.folder_of(model.digest) / CARD_NAME).read_text("utf-8", errors="replace")
    except OSError:
        card = "The card cannot be read: the model's folder is away or damaged."
    return page(
        visit,
        "model.html",
        model=model,
        card=card,
        dsc=mean_dsc(model.evaluation),
        promotions=visit.site.models.promotions(model.digest),
        is_live=visit.site.models.live_digest() == model.digest,
    )


def roll_back(visit: Visit) -> Response:
    """`POST /models/rollback`, with a reason: the model that was live before becomes live again."""
    table = visit.site.models
    try:
        live, earlier = table.live(), table.earlier()
        store_of(visit.site.settings).load(earlier.digest)  # no worker could take a damaged one
        table.rollback(visit.who, None if live is None else live.digest, visit.form.get("reason", "").strip() or None)
    except (NoEarlierModel, SegmentationError) as error:
        return refusal(visit, 409, f"Nothing was changed: {error}.")
    return to("/models")
