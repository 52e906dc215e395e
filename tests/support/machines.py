"""Machines on one computer: each has its own network (ip-netns(8)) and sees shared folders by mounts of its own.

They are joined by a bridge that no other network reaches. A machine can be cut off, wholly or from one address, and a
shared folder taken from it, while its programs run. Needs root; where that is missing, tests skip with words.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from support.peers import missing

ADDRESS, STORE_ADDRESS = "10.79.0.1", "10.79.0.2"
"""Both of the machine that the others talk to: of its database and of its object store."""
_CLONE_NEWNET = 0x40000000
_PROGRAM = Path(__file__).with_name("on_machine.py")


class Machines:
    """A network of machines; use as a context manager.

    The thread that enters it is on the machine at `ADDRESS` meanwhile, with what it starts: the loopback address is
    that machine's own.

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
        for address in (ADDRESS, STORE_ADDRESS):
            _ip("-n", hub, "address", "add", f"{address}/24", "dev", "hub")
        _ip("-n", hub, "link", "set", "hub", "up")
        for number, name in enumerate(self._names, start=10):
            space = self._add(name)
            _ip("-n", hub, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("-n", hub, "link", "set", name, "master", "hub", "up")
            _ip("-n", space, "address", "add", f"10.79.0.{number}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
        self._opened.enter_context(_on_machine(hub))

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

    def inside(self, name: str) -> list[str]:
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

    def hide_store(self, name: str) -> None:
        """From here on the machine does not reach the object store; the database it does."""
        self._neighbour("replace", name)

    def show_store(self, name: str) -> None:
        """Undo `hide_store`."""
        self._neighbour("del", name)

    def _neighbour(self, what: str, name: str) -> None:
        # Frames to a station that is not there are lost without an error.
        _ip("-n", self._space(name), "neighbour", what, STORE_ADDRESS, "lladdr", "02:00:00:00:00:01", "dev", "eth0",
            *(["nud", "permanent"] if what == "replace" else []))  # fmt: skip


@contextmanager
def _on_machine(space: str) -> Iterator[None]:
    """This thread on that machine while the block lasts (setns(2)); what it starts is there too."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            assert libc.setns(descriptor, _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        finally:
            os.close(descriptor)

    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter(f"/run/netns/{space}")
        try:
            yield
        finally:
            enter(f"/proc/self/fd/{before}")
    finally:
        os.close(before)


def take_folder(process_id: int, seen_at: Path) -> None:
    """The shared folder goes away for a process of `Machines.command`, under its hands; others keep it."""
    subprocess.run(["nsenter", "-t", str(process_id), "-m", "umount", "-l", str(seen_at)], check=True)


def give_folder(process_id: int, shared: Path, seen_at: Path) -> None:
    """Undo `take_folder`."""
    subprocess.run(["nsenter", "-t", str(process_id), "-m", "mount", "--bind", str(shared), str(seen_at)], check=True)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
