"""The schema's revisions, read without Alembic."""

from __future__ import annotations

import subprocess
import sys

from alembic.script import ScriptDirectory

from db.engine.migrate import config_for
from db.engine.schema_version import revisions


def test_revisions_are_those_of_alembic() -> None:
    """What the file names say is what Alembic would follow, in its order."""
    script = ScriptDirectory.from_config(config_for())
    assert list(revisions()) == [revision.revision for revision in script.walk_revisions()][::-1]


def test_short_commands_do_not_load_alembic() -> None:
    """`wmh-node jobs list` does not wait for what only an upgrade needs."""
    program = "import sys, dicom_node.cli.jobs; assert 'alembic' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
