"""Real databases for tests: SQLite files, and one PostgreSQL server that the test session starts and stops itself."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from support.once import made_once
from support.peers import peer

from db.engine.migrate import upgrade

_USER = "postgres"  # PostgreSQL refuses to run as root; Debian's package makes this account
_names = itertools.count(1)


class PostgresServer:
    """A running server on a Unix socket in its own folder; no TCP port, so two test runs cannot meet.

    But in a network of its own (`support.machines`) it listens on the address there.
    """

    def __init__(self, folder: Path, programs: Path, address: str = "") -> None:
        self._folder = folder
        self._programs = programs
        self._prefix = _as_other_user()
        self._address = address

    def start(self) -> None:
        """initdb and start; returns when it answers."""
        self._run("initdb", "-D", str(self.data), "-U", "wmh", "-A", "trust", "-E", "UTF8", "--locale=C")
        if self._address:
            with (self.data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {self._address}/24 trust\n")
        self.start_again()

    def start_again(self) -> None:
        """Start the server after `stop`."""
        # Durability on, as in a hospital; only the sizes are small.
        options = f"-c listen_addresses='{self._address}' -c unix_socket_directories='{self._folder}'"
        options += " -c max_connections=60 -c shared_buffers=16MB"
        self._control("-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; `immediate` is a crash: it recovers from its log at the next start."""
        self._control("-m", mode, "stop")

    def restart(self, mode: str = "fast") -> None:
        """Stop in that mode, start again with the same options."""
        self._control("-m", mode, "restart")

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self._folder / "log"), *arguments)

    @property
    def data(self) -> Path:
        """The data folder."""
        return self._folder / "data"

    def url(self, name: str = "postgres") -> str:
        """URL of one of its databases."""
        return f"postgresql+psycopg://wmh:s3cret@/{name}?host={self._folder}"

    def url_over_network(self, url: str) -> str:
        """The same database, over TCP."""
        before, _, name = url.partition("?")[0].rpartition("@/")
        return f"{before}@{self._address}/{name}"

    def new_database(self) -> str:
        """Make an empty database; returns its URL."""
        name = f"wmh_{os.getpid()}_{next(_names)}"
        with psycopg.connect(host=str(self._folder), user="wmh", dbname="postgres", autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._prefix, str(self._programs / program), *arguments]
        # Output to a file: pg_ctl's child would hold a pipe open for ever.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=120,
                check=False,
            )
            output.seek(0)
            assert done.returncode == 0, f"{program}: {output.read().decode(errors='replace')[-4000:]}"


@contextmanager
def postgres_server(parent: Path | None = None, *, address: str = "") -> Iterator[PostgresServer]:
    """A server while the block lasts; skips (fails under CI=true) where PostgreSQL is not installed.

    `address`: to listen on, in a network of `support.machines`.

    SIGTERM (a `timeout` around pytest) ends the block too: the server is a daemon, and would outlive us.
    """
    programs = Path(peer("initdb")).resolve().parent
    # Not under pytest's folder, which only its user may enter; and short: a socket's path has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="wmh-pg-", dir=parent))
    with _terminated_in_order():
        try:
            if os.geteuid() == 0:
                account = pwd.getpwnam(_USER)
                os.chown(folder, account.pw_uid, account.pw_gid)
            server = PostgresServer(folder, programs, address)
            server.start()
            try:
                yield server
            finally:
                server.stop("immediate")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _terminated_in_order() -> Iterator[None]:
    """Make SIGTERM a Ctrl-C while the block lasts: pytest then stops, and ends what it started."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def sqlite_url(folder: Path) -> str:
    """URL of a database file that does not exist yet."""
    return f"sqlite:///{folder / f'node-{next(_names)}.sqlite'}"


def _as_other_user() -> list[str]:
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is not None:
        return [setpriv, f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"]
    return [peer("runuser"), "-u", _USER, "--"]


def with_schema(url: str) -> str:
    """Make the tables of a new database, as `upgrade` does; an SQLite file is copied, since migrations take longer than
    most tests. Returns the URL."""
    file = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or file.exists():
        upgrade(url)
        return url
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(made_once("database with the current schema", _make_template) / "node.sqlite", file)
    return url


def _make_template(folder: Path) -> None:
    folder.mkdir()
    upgrade(f"sqlite:///{folder / 'node.sqlite'}")
