"""What an association brought, for the audit trail."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from db.audit import RECEIVED, record_action
from db.schema import instances, series, series_associations

# The clock may have been set back since the association began: images then lie before its start.
_SLACK: Final = timedelta(hours=1)


def record_received(connection: Connection, at: datetime, association: Row[Any]) -> None:
    """One entry for an association that stored something new; none for one that did not.

    The series are found by the time of their last image, which has an index; `instances` has none by association.
    """
    brought = (
        select(instances.c.study_instance_uid, instances.c.sop_class_uid, func.count().label("instances"))
        .select_from(series)
        .join(series_associations, series_associations.c.series_instance_uid == series.c.series_instance_uid)
        .join(instances, instances.c.series_instance_uid == series.c.series_instance_uid)
        .where(
            series.c.last_received_at >= min(association.opened_at, at) - _SLACK,
            series.c.purged_at.is_(None),
            series_associations.c.association_id == association.id,
            instances.c.association_id == association.id,
        )
        .group_by(instances.c.study_instance_uid, instances.c.sop_class_uid)
        .order_by(instances.c.study_instance_uid, instances.c.sop_class_uid)
    )
    rows = connection.execute(brought).all()
    if not rows:
        return
    classes: dict[str, int] = {}
    for row in rows:
        classes[row.sop_class_uid] = classes.get(row.sop_class_uid, 0) + row.instances
    studies = sorted({row.study_instance_uid for row in rows})
    words = f"{sum(classes.values())} instances of {len(studies)} studies from {association.address}"
    about = {"studies": studies, "sop_classes": classes, "address": association.address, "how": association.ended_how}
    record_action(connection, at, association.calling_ae_title, RECEIVED, None, words, about)
