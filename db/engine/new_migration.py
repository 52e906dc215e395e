"""For maintainers: write the migration from the last one to the present `db/schema.py`.

python -m db.engine.new_migration "jobs know their model"

Read what it writes before committing it: Alembic does not see renames, nor conditions of indexes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from db.engine.database import open_database
from db.engine.migrate import config_for, upgrade


def main() -> None:
    """Make the next numbered file in db/migrations/versions."""
    if len(sys.argv) != 2:
        sys.exit('usage: python -m db.engine.new_migration "what changes"')
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'last.sqlite'}"
        upgrade(url)
        database = open_database(url)
        with database.write() as connection:
            config = config_for(connection)
            head = ScriptDirectory.from_config(config).get_current_head()
            number = int(head or 0) + 1
            command.revision(config, message=sys.argv[1], autogenerate=True, rev_id=f"{number:04d}")
        database.close()


if __name__ == "__main__":
    main()
