"""SQL: inbox, job table, deliveries, audit; SQLAlchemy 2 and Alembic, SQLite and PostgreSQL."""
