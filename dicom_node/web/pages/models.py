"""Models: which one is live, their cards and evaluations, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.responses import Response

from db.errors import LiveModelChanged, NoEarlierModel
from db.records import RegisteredModel
from dicom_node.models.adding import register_shipped
from dicom_node.models.checks import ModelVerdict
from dicom_node.models.choice import shipped_digest, shipped_identity, store_of
from dicom_node.models.evaluation import mean_dsc
from dicom_node.web.answers import page, refusal, to
from dicom_node.web.drift_watch import MOST_RESULTS
from dicom_node.web.page_request import PageRequest
from segmentation.bundle import CARD_NAME, reference_bundle
from segmentation.errors import BadBundle, SegmentationError

_MOST_REASON: Final = 500


def show(request: PageRequest) -> Response:
    """`GET /models`."""
    table = request.site.models
    found = table.list()
    promotions = table.promotions()
    return page(
        request,
        "models.html",
        models=[(model, mean_dsc(model.evaluation)) for model in found],
        live=promotions[0] if promotions else None,
        promotions=promotions[:20],
        names={model.digest: f"{model.name} {model.version}" for model in found},
        pinned=request.site.settings.model,
        drift=request.site.drift.lines(),
        drift_counted=MOST_RESULTS if request.site.drift.is_cut() else None,
        may_roll_back=bool(promotions) and promotions[0].previous_id is not None,
    )


def show_one(request: PageRequest) -> Response:
    """`GET /models/{digest}`: the card as it is, and the checks of its promotions."""
    model = request.site.models.get(request.path_values["digest"])
    live = request.site.models.live_digest()
    verdict = None if model.checks is None else ModelVerdict.of_plain(model.checks)
    return page(
        request,
        "model.html",
        model=model,
        card=_card(store_of(request.site.settings).folder_of(model.digest)),
        dsc=mean_dsc(model.evaluation),
        promotions=request.site.models.promotions(model.digest),
        is_live=live == model.digest,
        verdict=verdict,
        is_stale=verdict is not None and model.checked_against != _used(live),
    )


def show_shipped(request: PageRequest) -> Response:
    """`GET /models/shipped`: the card of the model that is used until one is promoted."""
    try:
        identity = shipped_identity()
    except BadBundle as error:
        return refusal(request, 409, f"The shipped model is damaged: {error}. Install this release again.")
    return page(request, "shipped_model.html", model=identity, card=_card(reference_bundle()))


def promote(request: PageRequest) -> Response:
    """`POST /models/{digest}/promote`, with a reason: by the report of `wmh-node models check`, as `models promote`."""
    site, why = request.site, request.form.get("reason", "").strip()[:_MOST_REASON]
    model, live = site.models.get(request.path_values["digest"]), site.models.live_digest()
    if (no := _not_promoted(model, live, why)) is not None:
        return refusal(request, 409, f"Nothing was changed: {no}")
    verdict = ModelVerdict.of_plain(model.checks or {})
    store = store_of(site.settings)
    try:
        store.load(model.digest)  # no worker could take a damaged one
        before = live or register_shipped(store, site.models, model.digest, request.who)
        site.models.promote(
            model.digest, request.who, before, reason=why, gate=verdict.plain(),
            overruled=[str(check) for check in verdict.failed],
        )  # fmt: skip
    except (LiveModelChanged, SegmentationError) as error:
        return refusal(request, 409, f"Nothing was changed: {error}.")
    return to("/models")


def _card(folder: Path) -> str:
    try:
        return (folder / CARD_NAME).read_text("utf-8", errors="replace")
    except OSError:
        return "The card cannot be read: the model's folder is away or damaged."


def _used(live: str | None) -> str | None:
    """Digest of the live model, or of the shipped one before anything was promoted; None when that is damaged."""
    try:
        return live or shipped_digest()
    except BadBundle:
        return None


def _not_promoted(model: RegisteredModel, live: str | None, why: str) -> str | None:
    """Why a model cannot be promoted now; None when it can."""
    command = f"`wmh-node models check {model.digest[:12]} --cases FOLDER`"
    if model.digest == live:
        return "it is live already."
    if model.checks is None or model.checked_against is None:
        return f"its checks were not made. {command} makes them."
    if model.checked_against != _used(live):
        return f"its checks compared it with another model than the one that is live now. {command} makes them again."
    if not why:
        return "expected a reason, got none."
    if not ModelVerdict.of_plain(model.checks).can_be_overruled:
        return "it cannot be loaded, so no job could start with it."
    return None


def roll_back(request: PageRequest) -> Response:
    """`POST /models/rollback`, with a reason: the model that was live before becomes live again."""
    table = request.site.models
    try:
        live, earlier = table.live(), table.earlier()
        store_of(request.site.settings).load(earlier.digest)  # no worker could take a damaged one
        table.rollback(
            request.who, None if live is None else live.digest, request.form.get("reason", "").strip() or None
        )
    except (LiveModelChanged, NoEarlierModel, SegmentationError) as error:
        return refusal(request, 409, f"Nothing was changed: {error}.")
    return to("/models")
