"""The receiver as processes: small, one or several on a port, started again, stopped, and not two on one storage."""

from __future__ import annotations

import ctypes
import fcntl
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import psutil
import pytest
from support.databases import with_schema
from support.mr import encoded, mr_object, mr_series
from support.processes import free_port, listens, until
from support.raw_scu import RawScu
from support.receiver import ReceiverProcess, answers, dcmtk, storescu

from dicom_node.deliver.send import echo
from dicom_node.node.errors import ReceivingError
from dicom_node.node.settings import Settings
from dicom_node.receive.acceptor import open_listener
from dicom_node.receive.installation import installation_id
from dicom_node.receive.receiver_settings import AllowedPeer, ReceiverSettings
from dicom_node.receive.run import receive, run_receiver, serve

pytestmark = pytest.mark.slow

_MEGABYTES = 1e6


@pytest.mark.peer("storescu")
def test_it_stays_small(tmp_path):
    """Below 120 MB with 20 associations that store at once, without numpy, pydicom or the network in the process."""
    files = mr_series(tmp_path / "series", 20, matrix=256)
    with ReceiverProcess(tmp_path / "r") as receiver:
        command = [dcmtk("storescu"), "-aec", "WMHNODE", "127.0.0.1", str(receiver.port), *map(str, files)]
        senders = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(20)]
        peak = 0
        while any(sender.poll() is None for sender in senders):
            peak = max(peak, receiver.usage().memory_info().rss)
            time.sleep(0.01)
        assert [sender.wait() for sender in senders] == [0] * 20
        assert peak < 120 * _MEGABYTES
        mapped = {entry.path for entry in receiver.usage().memory_maps()}
        assert not [
            path for path in mapped if any(name in path for name in ("numpy", "tensorflow", "openvino", "scipy"))
        ]


def test_its_modules_load_nothing_heavy():
    """Importing the receiver brings in neither numpy nor pydicom nor pynetdicom."""
    heavy = ("numpy", "pydicom", "pynetdicom", "scipy", "tensorflow", "highdicom", "pydantic")
    code = f"import sys, dicom_node.receive.run; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@contextmanager
def running(settings):
    """`run_receiver` as the CLI calls it: in a thread here, on the node's settings."""
    stop = threading.Event()
    failure = []

    def run():
        try:
            run_receiver(settings, stop)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: listens(settings.dicom_port) or failure, "receiver listening", 90)
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
        assert not failure, failure


def node_settings(folder, **values):
    folder.mkdir(exist_ok=True)
    settings = Settings(dicom_port=free_port(), storage=folder, **values)
    with_schema(settings.database_url)
    return settings


class Address:
    """The receiver of some settings, for the sender."""

    ae_title, host = "WMHNODE", "127.0.0.1"

    def __init__(self, port):
        self.port = port


def test_the_nodes_settings_run_it(tmp_path):
    """`run_receiver(settings, stop)` serves until stop is set, and frees the port."""
    settings = node_settings(tmp_path)
    with running(settings):
        echo(Address(settings.dicom_port))
    assert not listens(settings.dicom_port)


@pytest.mark.peer("storescu")
@pytest.mark.slow
def test_several_processes_share_one_port(tmp_path):
    """Three processes: all take associations, each stays small, a killed one comes back, none outlives the parent."""
    files = mr_series(tmp_path / "series", 10)
    settings = node_settings(tmp_path / "r", receiver_processes=3)
    with running(settings):
        children = until(lambda: len(receivers()) == 3 and receivers(), "three processes", 90)
        echo(Address(settings.dicom_port))
        senders = [
            subprocess.Popen([dcmtk("storescu"), "-aec", "X", "127.0.0.1", str(settings.dicom_port), *map(str, files)])
            for _ in range(6)
        ]
        assert [sender.wait(60) for sender in senders] == [0] * 6
        assert all(child.memory_info().rss < 120 * _MEGABYTES for child in children)
        children[0].kill()
        until(lambda: len(receivers()) == 3 and children[0] not in receivers(), "process started again", 90)
        for _ in range(6):
            echo(Address(settings.dicom_port))
    psutil.wait_procs(children, 10)
    assert receivers() == []
    from db.engine import open_database
    from db.inbox import Inbox

    (activity,) = Inbox(open_database(settings.database_url)).open_series()
    assert (activity.instance_count, activity.open_associations) == (10, 0)


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.slow
def test_a_child_that_is_stopped_takes_no_other_along(tmp_path, victim):
    """SIGTERM to one of two processes: the other one answers at once, and the stopped one comes back."""
    settings = node_settings(tmp_path / "r", receiver_processes=2)
    with running(settings):
        children = until(lambda: len(receivers()) == 2 and receivers(), "two processes", 90)
        until(lambda: all(child.num_threads() >= 3 for child in children), "both accept", 90)
        children[victim].terminate()
        children[victim].wait(20)
        for _ in range(4):
            echo(Address(settings.dicom_port))
        until(lambda: len(receivers()) == 2, "process started again", 90)
        for _ in range(4):
            echo(Address(settings.dicom_port))
    assert not listens(settings.dicom_port)


@pytest.mark.slow
def test_a_process_that_cannot_start_is_tried_less_and_less_often(tmp_path, capfd):
    """The name of one of two processes is taken: the other one serves, and the waits between tries grow."""
    settings = node_settings(tmp_path / "r", receiver_processes=2)
    name = f"WMHNODE_{settings.dicom_port}_1_of_{installation_id(settings.storage)}"
    folder = settings.storage / "inbox" / "tmp"
    folder.mkdir(parents=True)
    said = []

    def waits():
        said.append("".join(capfd.readouterr()))
        return all(f"start_again_in_seconds={seconds}" in "".join(said) for seconds in ("0.5", "1.0", "2.0"))

    with (folder / f"{name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with running(settings):
            until(waits, "three tries", 40)
            echo(Address(settings.dicom_port))
    assert "another receiver is running as" in "".join(said)
    assert "Traceback" not in "".join(said)


def test_a_receiver_that_has_become_deaf_ends(tmp_path):
    """The listening socket is shut down from outside: an error, so that a supervisor starts the receiver again."""
    settings = ReceiverSettings("A", tmp_path, f"sqlite:///{tmp_path / 'node.sqlite'}", port=free_port())
    with_schema(settings.database_url)
    failures = []

    def run():
        try:
            serve(settings, listener, threading.Event())
        except ReceivingError as error:
            failures.append(str(error))

    with open_listener("127.0.0.1", settings.port) as listener, listener.dup() as other:
        thread = threading.Thread(target=run)
        thread.start()
        echo(Address(settings.port))
        other.shutdown(socket.SHUT_RDWR)
        thread.join(20)
    assert not thread.is_alive()
    assert failures
    assert "no longer accepts connections" in failures[0]


def receivers():
    """Receiver processes that this process started."""
    found = []
    for child in psutil.Process().children():
        try:
            if "dicom_node.receive" in child.cmdline():
                found.append(child)
        except psutil.Error:
            continue
    return found


def test_a_port_that_is_taken_is_named(tmp_path):
    """Another program on the port, also one with SO_REUSEPORT set: an error that says what to do, and no sharing."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ReceivingError, match=f"port {port} on 127.0.0.1 is used by another program"):
            open_listener("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_named():
    """Bind to a foreign address, or to a name that does not resolve."""
    with pytest.raises(ReceivingError, match=r"cannot listen on 192\.0\.2\.1"):
        open_listener("192.0.2.1", free_port())
    with pytest.raises(ReceivingError, match="set bind"):
        open_listener("no-such-host.invalid", free_port())


def test_two_receivers_of_one_name_on_one_storage_are_refused(tmp_path):
    """The second one would remove the first one's unfinished objects: it ends with the reason instead."""
    with ReceiverProcess(tmp_path, bind="127.0.0.1") as first:
        settings = ReceiverSettings(**{**vars(first.settings), "bind": "127.0.0.2"})
        with pytest.raises(ReceivingError, match="another receiver is running as"):
            receive(settings, threading.Event())


def test_receivers_of_two_installations_share_a_database(tmp_path):
    """Same AE title, port and index in two containers, say: the start of one leaves the other's associations open."""
    with ReceiverProcess(tmp_path / "a") as first, RawScu(first.port) as scu:
        scu.associate()
        dataset = mr_object()
        assert scu.store(dataset.SOPInstanceUID, encoded(dataset)) == 0x0000
        shared = {"database_url": first.settings.database_url, "port": first.port, "bind": "127.0.0.2"}
        with ReceiverProcess(tmp_path / "b", **shared):
            assert [activity.open_associations for activity in first.series()] == [1]
        first.kill()
        first.start()
        assert [activity.open_associations for activity in first.series()] == [0]


def test_everybody_sees_one_installation(tmp_path):
    """Many who ask at the same time, the first time too, get the same id; another storage has another one."""
    code = "import sys, pathlib; from dicom_node.receive.installation import installation_id as i; "
    code += "sys.stdin.readline(); print(i(pathlib.Path(sys.argv[1])))"
    asking = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    time.sleep(0.5)
    for process in asking:
        process.stdin.write(b"\n")
        process.stdin.flush()
    answers_ = {process.communicate(timeout=20)[0] for process in asking}
    assert len(answers_) == 1
    other = tmp_path / "other"
    other.mkdir()
    assert installation_id(other) != installation_id(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["installation", "other"]


def test_a_restart_at_once_gets_the_port_back(tmp_path):
    """Connections in TIME_WAIT do not keep the port."""
    files = mr_series(tmp_path / "series", 2)
    with ReceiverProcess(tmp_path / "r") as receiver:
        for _ in range(3):
            assert answers(storescu(receiver, files)) == ["Success"] * 2
            receiver.stop()
            receiver.start()


def test_a_signal_that_another_thread_takes_stops_it(tmp_path):
    """Linux may hand SIGTERM to any thread; Python acts on it in the main one, which sleeps."""
    with ReceiverProcess(tmp_path) as receiver:
        pid = receiver.process.pid
        other = next(thread.id for thread in receiver.usage().threads() if thread.id != pid)
        assert ctypes.CDLL(None).tgkill(pid, other, signal.SIGTERM) == 0
        assert receiver.process.wait(30) == 0


def test_settings_travel_as_json():
    """What a child process gets is what the parent had."""
    from pathlib import Path

    settings = ReceiverSettings(
        ae_title="A", storage=Path("/x"), database_url="sqlite:///y", peers=(AllowedPeer("B", "10.0.0.0/8"),), index=2
    )
    assert ReceiverSettings.from_json(settings.to_json()) == settings
    assert settings.receiver == "A:11112/2"
