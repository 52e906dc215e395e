"""Opening the database, its URL, its errors, and what SQLite and PostgreSQL spell in different ways."""

from db.engine.database import Clock, Database, open_database, utc_now

__all__ = ["Clock", "Database", "open_database", "utc_now"]
