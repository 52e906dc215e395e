"""The supervisor, on real subprocesses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dicom_node.node.backoff import RestartBackoff
from dicom_node.serve import supervisor as module
from dicom_node.serve.supervisor import Supervisor

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
QUICK = RestartBackoff(first_seconds=0.1, longest_seconds=0.2)


def _until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_role_comes_back() -> None:
    """A role that is killed is started again; the others run on undisturbed."""
    stop = threading.Event()
    with Supervisor({"one": SLEEPER, "two": SLEEPER}, backoff=QUICK) as supervisor:
        watcher = threading.Thread(target=supervisor.run, args=(stop,))
        watcher.start()
        before = supervisor.process_ids()
        os.kill(before["one"], signal.SIGKILL)
        _until(lambda: supervisor.process_ids().get("one", before["one"]) != before["one"])
        assert supervisor.process_ids()["two"] == before["two"]
        stop.set()
        watcher.join()
        pids = supervisor.process_ids()
    assert not any(_alive(pid) for pid in pids.values())


def test_wrong_settings_of_all_roles_end_everything() -> None:
    """When every role says that its settings are wrong (exit 2), there is no role left to wait for."""
    bad = [sys.executable, "-c", "raise SystemExit(2)"]
    with Supervisor({"one": bad, "two": bad}) as supervisor:
        assert supervisor.run(threading.Event()) == 2


def test_wrong_settings_of_one_role_leave_the_others_running(tmp_path: Path) -> None:
    """A worker without its model (exit 2) must not keep the node from receiving; it is tried again later."""
    tries = tmp_path / "tries"
    bad = [sys.executable, "-c", f"open({str(tries)!r}, 'a').write('x'); raise SystemExit(2)"]
    stop, codes = threading.Event(), []
    with Supervisor({"bad": bad, "good": SLEEPER}, backoff=QUICK) as supervisor:
        before = supervisor.process_ids()["good"]
        watcher = threading.Thread(target=lambda: codes.append(supervisor.run(stop)))
        watcher.start()
        _until(lambda: tries.exists() and len(tries.read_text()) >= 3)
        assert supervisor.process_ids()["good"] == before
        stop.set()
        watcher.join()
    assert codes == [0]


def test_a_role_that_does_not_stop_is_killed(monkeypatch) -> None:
    """Stopping ends after the grace time even when a role ignores SIGTERM."""
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.5)
    code = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    with Supervisor({"deaf": [sys.executable, "-c", code]}) as supervisor:
        pid = supervisor.process_ids()["deaf"]
        time.sleep(0.5)
    assert not _alive(pid)


def test_roles_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    """Kill -9 of the supervisor leaves no role behind."""
    pid_file = tmp_path / "pid"
    role = (
        "import os, pathlib; from dicom_node.serve.role import stop_on_signal; stop = stop_on_signal();"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); stop.wait()"
    )
    program = (
        "import sys, threading; from dicom_node.serve.supervisor import Supervisor\n"
        f"with Supervisor({{'role': [sys.executable, '-c', {role!r}]}}) as s: s.run(threading.Event())"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        _until(lambda: pid_file.exists() and pid_file.read_text() != "")
    finally:
        process.kill()
        process.wait()
    pid = int(pid_file.read_text())
    _until(lambda: not _alive(pid))
