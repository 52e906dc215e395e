"""The model registry: which bundles were added, and which of them is live."""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, insert, select, text, update

from db.audit import record_action
from db.engine.database import Database
from db.engine.upsert import upsert
from db.engine.values import require_json, storable
from db.errors import LiveModelChanged, NoEarlierModel, UnknownModel
from db.records import NewModel, Promotion, PromotionKind, RegisteredModel
from db.schema import models, promotions

_PREFIX: Final = re.compile(r"[0-9a-f]{4,64}")
_LATEST: Final = select(promotions).order_by(promotions.c.id.desc()).limit(1)


class ModelTable:
    """Registered models and the history of promotions. Safe to use from several threads, processes and machines.

    Each method is one transaction. A model's row never changes but for its evaluation and checks, and none is ever
    removed, since results name it; promotions are only added. Promotions go one after the other.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # Registering

    def add(self, model: NewModel, by: str, evaluation: Mapping[str, Any] | None = None) -> bool:
        """Register a model; when it is registered already, only its evaluation is updated, if one is given.

        Args:
            by: who, for the audit.
            evaluation: the content of evaluation.json.

        Returns:
            whether the model is new.

        Raises:
            InvalidMeasurements: the evaluation is no JSON.
        """
        if evaluation is not None:
            require_json(f"the evaluation of {model.name} {model.version}", evaluation)
        now = self._database.clock()
        values = {
            "digest": model.digest,
            "name": storable(model.name),
            "version": storable(model.version),
            "size_bytes": model.size_bytes,
            "added_at": now,
            "added_by": storable(by)[:255],
            "evaluation": None if evaluation is None else dict(evaluation),
        }
        named = f"{model.name} {model.version}, digest {model.digest}"
        with self._database.write() as connection:
            statement = upsert(connection.dialect.name)(models).values(values)
            is_new = (
                connection.execute(statement.on_conflict_do_nothing(index_elements=[models.c.digest])).rowcount == 1
            )
            if is_new:
                with_it = "" if evaluation is None else ", with its evaluation"
                record_action(connection, now, by, "add model", None, f"{named}{with_it}")
            elif evaluation is not None:
                row = update(models).where(models.c.digest == model.digest).values(evaluation=dict(evaluation))
                connection.execute(row)
                record_action(connection, now, by, "evaluate model", None, f"another evaluation of {named}")
            return is_new

    def note_checks(self, digest: str, by: str, against: str, checks: Mapping[str, Any]) -> None:
        """Keep the report of a model's checks, in place of an earlier one.

        Args:
            by: who had them made, for the audit.
            against: digest of the model that they compared with, live or shipped.
            checks: the report, as plain values.

        Raises:
            UnknownModel: no model of that digest is registered.
            InvalidMeasurements: the report is no JSON.
        """
        require_json(f"the model checks of {digest[:12]}", checks)
        now = self._database.clock()
        with self._database.write() as connection:
            model = _get(connection, digest)
            values = {"checks": dict(checks), "checked_at": now, "checked_against": against}
            connection.execute(update(models).where(models.c.digest == digest).values(values))
            record_action(connection, now, by, "check model", None, f"{model}, digest {digest}")

    # Changing what is live

    def promote(
        self,
        digest: str,
        by: str,
        instead_of: str | None,
        *,
        reason: str | None = None,
        gate: Mapping[str, Any] | None = None,
        overruled: Sequence[str] = (),
    ) -> Promotion:
        """Make a registered model the live one. Nothing is written when it is live already.

        Args:
            by: who, for the audit.
            instead_of: digest of the live model that the decision was made against; None when none was promoted yet.
            reason: the person's reason.
            gate: the results of the model checks, as plain values.
            overruled: the model checks that failed, as text: the promotion is forced when there are any.

        Raises:
            UnknownModel: no model of that digest is registered.
            LiveModelChanged: another promotion came first.
            InvalidMeasurements: the results of the checks are no JSON.
        """
        if gate is not None:
            require_json(f"the model checks of {digest[:12]}", gate)
        with self._database.write() as connection:
            live = _locked_live(connection, instead_of, unless=digest)
            model = _get(connection, digest)
            if live is not None and live.digest == digest:
                return live
            words = [f"{model}, digest {digest}", _instead(connection, live)]
            words += [f"reason: {reason}"] if reason else []
            words += [f"forced, although checks failed: {'; '.join(overruled)}"] if overruled else []
            return self._note(
                connection,
                "promote model",
                words,
                by,
                digest=digest,
                kind=PromotionKind.PROMOTE.value,
                reason=None if reason is None else storable(reason),
                forced=bool(overruled),
                gate=None if gate is None else dict(gate),
                previous_id=None if live is None else live.id,
            )

    def rollback(self, by: str, instead_of: str | None, reason: str | None = None) -> Promotion:
        """Make the model live again that was live before the live one was promoted.

        A rollback of a rollback goes one promotion further back: it never returns to the model that it replaced.

        Args:
            by: who, for the audit.
            instead_of: digest of the live model to replace.
            reason: the person's reason.

        Raises:
            NoEarlierModel: there is none.
            LiveModelChanged: another promotion or rollback came first.
        """
        with self._database.write() as connection:
            live = _locked_live(connection, instead_of)
            earlier = _require_earlier(connection, live)
            words = [f"{_get(connection, earlier.digest)}, digest {earlier.digest}", _instead(connection, live)]
            words += [f"reason: {reason}"] if reason else []
            return self._note(
                connection,
                "roll back model",
                words,
                by,
                digest=earlier.digest,
                kind=PromotionKind.ROLLBACK.value,
                reason=None if reason is None else storable(reason),
                forced=False,
                gate=None,
                previous_id=earlier.previous_id,
            )

    def not_loaded(self, by: str, digest: str, words: str) -> None:
        """A worker could not load the live model: record it in the audit, where people look for the reason."""
        with self._database.write() as connection:
            detail = f"digest {digest}: {words}"
            record_action(connection, self._database.clock(), by, "live model not loaded", None, detail)

    def _note(self, connection: Connection, action: str, words: Sequence[str], by: str, **values: Any) -> Promotion:
        now = self._database.clock()
        record_action(connection, now, by, action, None, "; ".join(words))
        row = {"at": now, "who": storable(by)[:255], **values}
        return _promotion_of(connection.execute(insert(promotions).values(row).returning(promotions)).one())

    # Looking

    def live_digest(self) -> str | None:
        """Digest of the live model; None when none was promoted yet. One row by its key: cheap enough to ask often."""
        with self._database.read() as connection:
            row = connection.execute(_LATEST).first()
            return None if row is None else str(row.digest)

    def live(self) -> Promotion | None:
        """The promotion that made the live model live; None when none was promoted yet."""
        with self._database.read() as connection:
            return _latest(connection)

    def earlier(self) -> Promotion:
        """The promotion that a rollback would go back to.

        Raises:
            NoEarlierModel: there is none.
        """
        with self._database.read() as connection:
            return _require_earlier(connection, _latest(connection))

    def get(self, digest: str) -> RegisteredModel:
        """The model of exactly that digest.

        Raises:
            UnknownModel: there is none.
        """
        with self._database.read() as connection:
            return _get(connection, digest)

    def find(self, what: str) -> RegisteredModel:
        """The one model that a name means.

        Args:
            what: a digest, its beginning (4 digits or more), `NAME` or `NAME@VERSION`. A name wins over a beginning.

        Raises:
            UnknownModel: there is none, or several: then they are listed.
        """
        with self._database.read() as connection:
            for condition in _meanings(what):
                rows = connection.execute(select(models).where(condition).order_by(models.c.added_at)).all()
                if len(rows) == 1:
                    return _model_of(rows[0])
                if rows:
                    meant = ", ".join(str(_model_of(row)) for row in rows)
                    raise UnknownModel(f"{what!r} may mean {len(rows)} models: {meant}; give more digits of the digest")
        raise UnknownModel(
            f"no model {what!r} is registered: expected a digest or its first digits (4 or more), NAME or "
            "NAME@VERSION; `wmh-node models list` lists the registered ones"
        )

    def list(self) -> builtins.list[RegisteredModel]:
        """Every model, newest first."""
        query = select(models).order_by(models.c.added_at.desc(), models.c.digest)
        with self._database.read() as connection:
            return [_model_of(row) for row in connection.execute(query)]

    def promotions(self, digest: str | None = None) -> builtins.list[Promotion]:
        """Promotions and rollbacks, newest first; of one model, or of all."""
        query = select(promotions).order_by(promotions.c.id.desc())
        if digest is not None:
            query = query.where(promotions.c.digest == digest)
        with self._database.read() as connection:
            return [_promotion_of(row) for row in connection.execute(query)]


def _locked_live(connection: Connection, expected: str | None, unless: str | None = None) -> Promotion | None:
    """The live promotion, with every other promotion kept out until the transaction ends.

    Args:
        expected: digest of the live model that the caller decided about.
        unless: a digest that may be live as well.

    Raises:
        LiveModelChanged: another model is live.
    """
    if connection.dialect.name != "sqlite":  # SQLite has one writer at a time anyway
        # Readers go on; a second promotion waits (PostgreSQL 13.3.1: the mode conflicts with itself).
        connection.execute(text("LOCK TABLE promotions IN SHARE ROW EXCLUSIVE MODE"))
    live = _latest(connection)
    digest = None if live is None else live.digest
    if digest not in {expected, unless}:
        who = "" if live is None else f", by {live.who}"
        raise LiveModelChanged(
            f"the live model has changed: expected {_short(expected)}, found {_short(digest)}{who}. Look at "
            "`wmh-node models list`, and decide again"
        )
    return live


def _latest(connection: Connection) -> Promotion | None:
    row = connection.execute(_LATEST).first()
    return None if row is None else _promotion_of(row)


def _require_earlier(connection: Connection, live: Promotion | None) -> Promotion:
    if live is None:
        raise NoEarlierModel("nothing was promoted yet, so there is nothing to roll back")
    if live.previous_id is None:
        raise NoEarlierModel(
            f"no model was promoted before {_get(connection, live.digest)}, so there is none to roll back to: "
            f"promote another one instead"
        )
    return _promotion_of(connection.execute(select(promotions).where(promotions.c.id == live.previous_id)).one())


def _get(connection: Connection, digest: str) -> RegisteredModel:
    row = connection.execute(select(models).where(models.c.digest == digest)).first()
    if row is None:
        raise UnknownModel(
            f"no model of digest {digest} is registered; `wmh-node models list` lists the registered ones"
        )
    return _model_of(row)


def _meanings(what: str) -> list[ColumnElement[bool]]:
    """What a name may mean, the most exact first."""
    digits = what.lower()
    name, at, version = what.rpartition("@")
    meanings = [models.c.digest == digits]
    meanings += [(models.c.name == name) & (models.c.version == version)] if at else [models.c.name == what]
    return [*meanings, models.c.digest.startswith(digits)] if _PREFIX.fullmatch(digits) else meanings


def _instead(connection: Connection, live: Promotion | None) -> str:
    return "the first that was promoted" if live is None else f"instead of {_get(connection, live.digest)}"


def _short(digest: str | None) -> str:
    return "none" if digest is None else digest[:12]


def _model_of(row: Row[Any]) -> RegisteredModel:
    return RegisteredModel(**row._mapping)


def _promotion_of(row: Row[Any]) -> Promotion:
    values = dict(row._mapping)
    return Promotion(**{**values, "kind": PromotionKind(values["kind"])})
