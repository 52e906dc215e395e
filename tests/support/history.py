"""A long history in a database: many series, jobs and deliveries that have ended, and a few that are open."""

from __future__ import annotations

from datetime import date
from typing import Final

from sqlalchemy import Connection, text

from db.engine import Database
from db.records import Scan

FEW: Final = 1_000
OPEN: Final = 10  # jobs, deliveries, series and corrections that wait, whatever the history

_D: Final = "a" * 64
_AT: Final = "'2026-01-01 00:00:00.000000'"
# Of each 1,000 jobs: 970 done, 20 failed, 10 rejected.
_STATE: Final = "CASE WHEN n % 100 = 7 OR n % 100 = 9 THEN 'failed' WHEN n % 100 = 8 THEN 'rejected' ELSE 'done' END"
_STATEMENTS: Final = (
    f"""INSERT INTO associations
        (id, receiver, calling_ae_title, called_ae_title, address, opened_at, ended_at, ended_how)
        SELECT n, 'r', 'SCANNER', 'WMHNODE', '10.0.0.1', {_AT}, {_AT}, 'released' FROM numbers""",
    f"""INSERT INTO series
        (series_instance_uid, study_instance_uid, instance_count, conflict_count, judged_count, first_received_at,
         last_received_at)
        SELECT '1.2.' || n, '1.9.' || n, 24, 0, CASE WHEN n <= {OPEN} THEN 0 ELSE 24 END, {_AT}, {_AT} FROM numbers""",
    f"""INSERT INTO series_associations (series_instance_uid, association_id, first_received_at, duplicate_count)
        SELECT '1.2.' || n, n, {_AT}, 0 FROM numbers""",
    f"""INSERT INTO instances
        (series_instance_uid, ordinal, sop_instance_uid, sha256, sop_class_uid, study_instance_uid,
         transfer_syntax_uid, path, size_bytes, is_conflict, known_elsewhere, association_id, received_at)
        SELECT '1.2.' || n, 1, '1.2.' || n || '.1', '{_D}', '1.2.840.10008.5.1.4.1.1.4', '1.9.' || n,
               '1.2.840.10008.1.2.1', 'inbox/' || n || '/1.dcm', 133000, FALSE, FALSE, n, {_AT} FROM numbers""",
    f"""INSERT INTO jobs
        (id, series_instance_uid, study_instance_uid, instances_digest, instance_count, state, attempts, max_attempts,
         not_before, measurements, created_at, updated_at, ended_at, report)
        SELECT n, '1.2.' || n, '1.9.' || n, '{_D}', 24, CASE WHEN n <= {OPEN} THEN 'queued' ELSE {_STATE} END, 1, 3,
               {_AT}, '{{"wmh_volume_ml": 4.2}}', {_AT}, {_AT}, {_AT}, '{{"SOPInstanceUID": "1.2.3"}}' FROM numbers""",
    f"""INSERT INTO job_events (id, job_id, at, what, detail)
        SELECT n, n, {_AT}, 'queued', '24 instances' FROM numbers""",
    f"""INSERT INTO deliveries
        (id, job_id, destination, files, state, attempts, refusals, not_before, created_at, report_out)
        SELECT n, n, 'pacs', '["outbox/1/seg.dcm"]', CASE WHEN n <= {OPEN} THEN 'pending' ELSE 'sent' END, 1, 0, {_AT},
               {_AT}, FALSE FROM numbers""",
    f"""INSERT INTO scans (job_id, study_instance_uid, patient_key, acquired_on, description)
        SELECT n, '1.9.' || n, '{"0" * 50}' || (n / 3), '2024-01-01', '{{}}' FROM numbers""",
    f"""INSERT INTO feedback
        (id, sop_instance_uid, sha256, series_instance_uid, study_instance_uid, path, calling_ae_title, received_at,
         state, attempts, not_before, source_series_uid)
        SELECT n, '1.3.' || n, '{_D}', '1.4.' || n, '1.9.' || n, 'inbox/f/' || n, 'VIEWER', {_AT},
               CASE WHEN n <= {OPEN} THEN 'waiting' WHEN n % 10 = 7 THEN 'own' ELSE 'accepted' END, 0, {_AT},
               '1.2.' || n FROM numbers""",
    f"""INSERT INTO audit (id, at, who, action, job_id, detail)
        SELECT n, {_AT}, 'alice@lab', 'retry', n, 'again' FROM numbers""",
)


def fill(database: Database, rows: int) -> None:
    """Put so many rows into each table of the history; the first `OPEN` of each are open work."""
    with database.write() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        numbers = (
            f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows}) "
            if is_sqlite
            else f"WITH numbers AS (SELECT generate_series(1, {rows}) AS n) "
        )
        for statement in _STATEMENTS:
            connection.exec_driver_sql(_with(statement, numbers, is_sqlite))
        if not is_sqlite:
            _continue_sequences(connection)
        connection.execute(text("ANALYZE"))


def scan_after(number: int) -> Scan:
    """A new scan of the patient of job `number`."""
    return Scan(0, "1.9.0", "0" * 50 + str(number // 3), None, date(2025, 1, 1), {})


def _with(statement: str, numbers: str, is_sqlite: bool) -> str:
    """The WITH before the SELECT, and literals as the dialect takes them."""
    if is_sqlite:
        statement = statement.replace("FALSE", "0")
        return statement.replace("SELECT", f"{numbers} SELECT", 1)
    statement = statement.replace(_AT, f"TIMESTAMPTZ {_AT[:-1]}+00'").replace("'2024-01-01'", "DATE '2024-01-01'")
    for document in ('{"wmh_volume_ml": 4.2}', '{"SOPInstanceUID": "1.2.3"}', '["outbox/1/seg.dcm"]', "{}"):
        statement = statement.replace(f"'{document}'", f"'{document}'::json")
    return statement.replace("SELECT", f"{numbers} SELECT", 1).replace("%", "%%")  # the driver's own sign


def _continue_sequences(connection: Connection) -> None:
    for table in ("associations", "jobs", "job_events", "deliveries", "feedback", "audit"):
        connection.exec_driver_sql(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
        )
