"""Machines on one computer: each has its own network (ip-netns(8)) and sees shared folders by mounts of its own.

They are joined by a bridge that no other network reaches. A machine can be cut off, and a shared folder taken from it,
while its programs run. Needs root; where that is missing, tests skip with words.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from support.peers import missing

ADDRESS = "10.79.0.1"
"""Of the machine that the others talk to."""
_PROGRAM = Path(__file__).with_name("on_machine.py")


class Machines:
    """A network of machines; use as a context manager.

    Args:
        names: of the machines beside the one at `ADDRESS`.
    """

    def __init__(self, *names: str) -> None:
        self._names = names
        self._prefix = f"wmh{os.getpid()}"
        self._opened = ExitStack()

    def __enter__(self) -> Machines:
        if os.geteuid() != 0 or shutil.which("ip") is None:
            missing("machines with networks of their own need root and the program ip (iproute2)")
        try:
            self._make()
        except BaseException:
            self._opened.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def _make(self) -> None:
        hub = self._add("hub")
        _ip("-n", hub, "link", "add", "hub", "type", "bridge")
        _ip("-n", hub, "address", "add", f"{ADDRESS}/24", "dev", "hub")
        _ip("-n", hub, "link", "set", "hub", "up")
        for number, name in enumerate(self._names, start=10):
            space = self._add(name)
            _ip("-n", hub, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("-n", hub, "link", "set", name, "master", "hub", "up")
            _ip("-n", space, "address", "add", f"10.79.0.{number}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")

    def _add(self, name: str) -> str:
        space = self._space(name)
        done = subprocess.run(["ip", "netns", "add", space], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            missing(f"a network of its own could not be made: {done.stderr.strip()}")
        self._opened.callback(_ip, "netns", "delete", space)
        _ip("-n", space, "link", "set", "lo", "up")
        return space

    def _space(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def inside(self, name: str = "hub") -> list[str]:
        """What goes before a command to run it on that machine."""
        return ["ip", "netns", "exec", self._space(name)]

    def command(self, name: str, shared: Path, seen_at: Path, command: Sequence[str]) -> list[str]:
        """A command on that machine, which sees the folder `shared` at `seen_at`. The process keeps its number."""
        return [*self.inside(name), sys.executable, str(_PROGRAM), str(shared), str(seen_at), *command]

    def cut_off(self, name: str) -> None:
        """From here on nothing reaches the machine, and no error says so: packets are lost."""
        _ip("-n", self._space("hub"), "link", "set", name, "nomaster")

    def join(self, name: str) -> None:
        """Undo `cut_off`."""
        _ip("-n", self._space("hub"), "link", "set", name, "master", "hub")


def take_folder(process_id: int, seen_at: Path) -> None:
    """The shared folder goes away for a process of `Machines.command`, under its hands; others keep it."""
    subprocess.run(["nsenter", "-t", str(process_id), "-m", "umount", "-l", str(seen_at)], check=True)


def give_folder(process_id: int, shared: Path, seen_at: Path) -> None:
    """Undo `take_folder`."""
    subprocess.run(["nsenter", "-t", str(process_id), "-m", "mount", "--bind", str(shared), str(seen_at)], check=True)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
