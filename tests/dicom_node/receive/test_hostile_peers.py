"""What breaks receivers (found by trying): each case beside a real sender that must not notice.

| case | we |
|---|---|
| P-DATA length 4 GiB, or one byte more than announced | abort on its six header bytes |
| 200 idle connections | the oldest go; no more threads than the limit; no CPU |
| one idle connection, partial A-ASSOCIATE-RQ held, one byte now and then | closed when ARTIM expires |
| idle association, association silent in a message, dribbled PDU | aborted after its timeout |
| all associations taken and idle, one more wanted | the idle one goes, or a transient rejection |
| all associations taken by objects that drip, one more wanted | one of those goes; none does while there is room |
| all associations taken by one peer that only talks, one more wanted | one that stores nothing goes, none that stores |
| random bytes in place of PDUs, unexpected PDUs, an endless command set | aborted |
| a peer that goes away in the middle of an object | nothing is stored, nothing is left |
"""

from __future__ import annotations

import contextlib
import itertools
import random
import struct
import time

import pytest
from pydicom.uid import generate_uid
from support.mr import encoded, mr_object
from support.processes import until
from support.raw_scu import EXPLICIT, MR, VERIFICATION, RawScu, associate_request, command, pdata, store_command
from support.receiver import ReceiverProcess, answers, storescu, undisturbed

pytestmark = [pytest.mark.peer("storescu"), pytest.mark.slow]

ACCEPT = 2
ABORT = 7


def abort_of(scu: RawScu) -> tuple[int, int]:
    """Source and reason of the A-ABORT that must come next."""
    kind, body = scu.pdu()
    assert kind == ABORT, f"expected A-ABORT, got PDU type {kind}"
    return body[2], body[3]


@pytest.mark.parametrize("length", [0xFFFFFFFF, 64 * 1024 + 1])
def test_a_pdu_longer_than_announced_is_refused_on_its_header(receiver, series, length):
    """P-DATA of 4 GiB, or one byte too long: A-ABORT (invalid parameter) at once, no memory spent."""
    with undisturbed(receiver, series), RawScu(receiver.port) as scu:
        scu.associate()
        before = receiver.usage().memory_info().rss
        scu.send(struct.pack(">BxL", 4, length) + b"\0" * 1000)
        assert abort_of(scu) == (2, 6)
        assert receiver.usage().memory_info().rss - before < 10e6


@pytest.mark.parametrize("length", [0xFFFFFFFF, 10_000_000])
def test_a_huge_pdu_before_any_association_is_refused(receiver, series, length):
    """P-DATA or A-ASSOCIATE-RQ of absurd length as the first thing: aborted at once."""
    for kind in (1, 4):
        with undisturbed(receiver, series), RawScu(receiver.port) as scu:
            scu.send(struct.pack(">BxL", kind, length) + b"\0" * 1000)
            assert scu.pdu()[0] == ABORT


def test_a_flood_after_a_huge_length_ends(receiver, series):
    """A peer that really sends the gigabytes is cut off after a few megabytes."""
    with undisturbed(receiver, series), RawScu(receiver.port) as scu:
        scu.associate()
        scu.send(struct.pack(">BxL", 4, 0xFFFFFFFF))
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 200 << 20:
                scu.send(b"\0" * 65536)
                sent += 65536
        assert sent < 64 << 20


def test_200_idle_connections_cost_little_and_keep_no_sender_out(receiver, series):
    """Threads and memory stay within the limit, no CPU is burnt, and real peers get in at once."""
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(RawScu(receiver.port))
        with undisturbed(receiver, series):
            assert receiver.usage().num_threads() < receiver.settings.max_waiting + 20
            assert receiver.usage().memory_info().rss < 120e6
        used = sum(receiver.usage().cpu_times()[:2])
        time.sleep(1)
        assert sum(receiver.usage().cpu_times()[:2]) - used < 0.1


@pytest.mark.parametrize("said", [b"", associate_request()[:40]], ids=["nothing", "half a request"])
def test_a_peer_that_does_not_finish_its_request_is_closed(receiver, series, said):
    """Idle, or a partial A-ASSOCIATE-RQ held: closed when ARTIM (2 s here) expires."""
    with undisturbed(receiver, series), RawScu(receiver.port) as scu:
        scu.send(said)
        began = time.monotonic()
        assert scu.is_closed(30)
        assert 1 < time.monotonic() - began < 20


def test_a_request_that_drips_is_closed_in_time(receiver, series):
    """One byte every 0.2 s does not push ARTIM back."""
    with undisturbed(receiver, series), RawScu(receiver.port) as scu:
        began = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in associate_request():
                scu.send(bytes([byte]))
                time.sleep(0.2)
                if time.monotonic() - began > 40:
                    break
        assert time.monotonic() - began < 20


def test_an_idle_association_is_aborted(receiver, series):
    """Associated and silent: A-ABORT after the idle timeout (4 s here)."""
    with undisturbed(receiver, series), RawScu(receiver.port) as scu:
        scu.associate()
        began = time.monotonic()
        assert abort_of(scu) == (0, 0)
        assert 3 < time.monotonic() - began < 25


def test_silence_in_the_middle_of_an_object_is_aborted(receiver, series):
    """A command without its data set: A-ABORT after the message timeout (3 s here), nothing kept."""
    with undisturbed(receiver, series), RawScu(receiver.port) as scu:
        scu.associate()
        scu.send(pdata(1, 3, store_command("1.2.3")) + pdata(1, 0, b"\0" * 100))
        assert abort_of(scu) == (0, 0)
        until(lambda: not receiver.leftovers(), "temporary file removed", 30)


def test_a_dribbled_pdu_is_aborted(receiver, series):
    """One byte a second inside a P-DATA does not hold a thread for ever."""
    with undisturbed(receiver, series), RawScu(receiver.port) as scu:
        scu.associate()
        began = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in pdata(1, 0, b"\0" * 200):
                scu.send(bytes([byte]))
                time.sleep(0.5)
                if time.monotonic() - began > 60:
                    break
        assert time.monotonic() - began < 40


@pytest.mark.parametrize("associated", [False, True])
def test_random_bytes_in_place_of_pdus(receiver, series, associated):
    """Garbage ends its own connection, each time with an A-ABORT or a closed connection."""
    with undisturbed(receiver, series):
        for seed in range(20):
            noise = random.Random(seed).randbytes(2000)
            with RawScu(receiver.port) as scu, contextlib.suppress(OSError):
                if associated:
                    scu.associate()
                scu.send(noise)
                assert scu.is_closed(30)


@pytest.mark.parametrize("kind", [1, 2, 3, 6])
def test_a_pdu_that_does_not_belong_here_aborts(receiver, series, kind):
    """A second A-ASSOCIATE-RQ, an AC, an RJ or a RELEASE-RP in an association: AA-8 of PS3.8."""
    with undisturbed(receiver, series), RawScu(receiver.port) as scu:
        scu.associate()
        scu.send(associate_request() if kind == 1 else struct.pack(">BxLL", kind, 4, 0))
        assert abort_of(scu)[0] == 2


@pytest.mark.parametrize("kind", [2, 3, 4, 5, 6])
def test_a_pdu_before_the_association_aborts(receiver, kind):
    """Anything but A-ASSOCIATE-RQ first: AA-1 of PS3.8."""
    with RawScu(receiver.port) as scu:
        scu.send(struct.pack(">BxLL", kind, 4, 0))
        assert abort_of(scu)[0] == 0


def test_an_endless_command_set_is_aborted(receiver, series):
    """Command fragments without end: aborted after 16 KiB."""
    with undisturbed(receiver, series), RawScu(receiver.port) as scu:
        scu.associate()
        for _ in range(40):
            scu.send(pdata(1, 1, b"\0" * 1000))
        assert abort_of(scu) == (2, 6)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(pdata(1, 2, b"\0" * 10), id="data set without a command"),
        pytest.param(pdata(99, 3, store_command("1.2.3")), id="context that was not accepted"),
        pytest.param(pdata(1, 3, b"\1\2\3\4\5"), id="command that is none"),
        pytest.param(pdata(1, 3, store_command("1.2.3", MessageID=None)), id="command without message ID"),
        pytest.param(pdata(1, 3, store_command("1.2.3")) * 2, id="command in the middle of a data set"),
        pytest.param(struct.pack(">BxL", 4, 3) + b"abc", id="data value that is none"),
        pytest.param(struct.pack(">BxL", 4, 0), id="P-DATA without a data value"),
    ],
)
def test_a_stream_that_cannot_be_followed_is_aborted(receiver, wrong):
    """Where the next message begins is not known any more: A-ABORT by the provider."""
    with RawScu(receiver.port) as scu:
        scu.associate()
        scu.send(wrong)
        assert abort_of(scu)[0] == 2


@pytest.mark.parametrize("how", ["close", "reset", "abort", "release"])
def test_a_peer_that_leaves_in_the_middle_of_an_object(receiver, series, how):
    """Nothing is stored, no file is left, the association's row ends."""
    dataset = mr_object()
    data = encoded(dataset)
    with undisturbed(receiver, series):
        with RawScu(receiver.port) as scu:
            scu.associate()
            scu.send(pdata(1, 3, store_command(dataset.SOPInstanceUID)) + pdata(1, 0, data[:1000]))
            until(receiver.leftovers, "object under way", 30)
            if how == "reset":
                scu.socket.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER 0: RST
            elif how == "abort":
                scu.send(struct.pack(">BxLL", 7, 4, 0))
            elif how == "release":
                scu.release()
        until(lambda: not receiver.leftovers(), "temporary file removed", 30)
    assert receiver.rows(dataset.SeriesInstanceUID) == []


def test_full_of_idle_associations_a_newcomer_still_gets_in(tmp_path, series):
    """With every association taken, one that is idle for long gives way to a real sender."""
    with (
        ReceiverProcess(tmp_path, max_associations=3, reclaim_idle_seconds=1.0) as small,
        contextlib.ExitStack() as held,
    ):
        idle = [held.enter_context(RawScu(small.port)) for _ in range(3)]
        for scu in idle:
            scu.associate()
        time.sleep(1.2)
        done = storescu(small, series)
        assert answers(done) == ["Success"] * len(series), done.stdout
        assert abort_of(idle[0]) == (0, 0)


def test_full_of_busy_associations_the_newcomer_is_asked_to_come_again(tmp_path):
    """No idle association: A-ASSOCIATE-RJ transient, local limit exceeded (PS3.8 table 9-21); later there is room."""
    with ReceiverProcess(tmp_path, max_associations=1) as small:
        with RawScu(small.port) as first, RawScu(small.port) as second:
            first.associate()
            second.send(associate_request())
            assert second.rejection() == (2, 3, 2)
            first.release()
        until(lambda: is_accepted(small), "room for the next association")


def is_accepted(receiver):
    """Whether one association is accepted and released. The receiver gives a place back a moment after its release."""
    with RawScu(receiver.port) as scu:
        scu.send(associate_request())
        if scu.pdu()[0] != ACCEPT:
            return False
        scu.release()
        return True


def test_full_of_dribbling_associations_a_newcomer_still_gets_in(tmp_path, series):
    """Each place is held by an object that comes a few bytes at a time: one of them is aborted for a real sender. One
    that comes steadily is not, nor are those that drip while there is room."""
    slowly, data = mr_object(matrix=512), b""
    with ReceiverProcess(tmp_path, max_associations=5, reclaim_idle_seconds=1.5, message_seconds=30) as receiver:
        places = [RawScu(receiver.port) for _ in range(5)]
        honest, *dribblers = places
        data = encoded(slowly)
        for scu, uid in zip(places, [slowly.SOPInstanceUID, *(generate_uid() for _ in dribblers)], strict=True):
            scu.associate()
            scu.send(pdata(1, 3, store_command(uid)))
        step = len(data) // 20
        for start in range(0, 12 * step, step):  # at about 100 kB/s
            honest.send(pdata(1, 0, data[start : start + step]))
            for scu in dribblers:
                scu.send(pdata(1, 0, bytes(8)))
            time.sleep(0.25)
        assert not receiver.lines("association aborted")
        began = time.monotonic()
        newcomer = RawScu(receiver.port)
        newcomer.associate()
        other = mr_object()
        assert newcomer.store(other.SOPInstanceUID, encoded(other)) == 0x0000
        assert time.monotonic() - began < 15
        assert "slow while others wait" in receiver.wait_for_line("association aborted")
        honest.send(pdata(1, 2, data[12 * step :]))
        assert honest.response().Status == 0x0000
        assert len(receiver.lines("association aborted")) == 1
        for scu in [*places, newcomer]:
            scu.socket.close()


@pytest.mark.slow
def test_full_of_talking_associations_a_newcomer_still_gets_in(tmp_path):
    """One peer holds every place and is never idle or slow: with C-ECHO, and with objects that are refused. One of its
    associations is aborted for another sender, and not the one that stores."""
    with ReceiverProcess(tmp_path, max_associations=4, reclaim_idle_seconds=5.0) as receiver:
        places = [RawScu(receiver.port) for _ in range(4)]
        honest, refused, *echoing = places
        for scu in places:
            scu.associate(contexts=[(MR, (EXPLICIT,)), (VERIFICATION, (EXPLICIT,))])
        echo = command(AffectedSOPClassUID=VERIFICATION, CommandField=0x30, MessageID=1, CommandDataSetType=0x101)
        other_series = mr_object().SeriesInstanceUID

        def talk(number):
            one = mr_object(number, series=other_series)
            assert honest.store(one.SOPInstanceUID, encoded(one)) == 0x0000
            assert refused.store(generate_uid(), b"\0\0") != 0x0000
            for scu in echoing:
                scu.send(pdata(3, 3, echo))
                assert scu.response().Status == 0x0000

        began = time.monotonic()
        for number in itertools.count(1):
            talk(number)
            if time.monotonic() - began > 6:
                break
            time.sleep(0.25)
        with RawScu(receiver.port) as newcomer:
            newcomer.associate()
            one = mr_object()
            assert newcomer.store(one.SOPInstanceUID, encoded(one)) == 0x0000
        assert "stores nothing while others wait" in receiver.wait_for_line("association aborted")
        last = mr_object(99, series=other_series)
        assert honest.store(last.SOPInstanceUID, encoded(last)) == 0x0000
        for scu in places:
            scu.socket.close()


def test_a_pause_between_two_objects_is_no_talk(tmp_path):
    """An archive that fetches its next object for a while keeps its place once that one comes."""
    first, second = mr_object(matrix=32), mr_object(matrix=256)
    data = encoded(second)
    with (
        ReceiverProcess(tmp_path, max_associations=1, reclaim_idle_seconds=3.0) as receiver,
        RawScu(receiver.port) as archive,
        RawScu(receiver.port) as newcomer,
    ):
        archive.associate()
        assert archive.store(first.SOPInstanceUID, encoded(first)) == 0x0000
        time.sleep(2)
        archive.send(pdata(1, 3, store_command(second.SOPInstanceUID)))
        archive.send(pdata(1, 0, data[:16000]))
        time.sleep(1.5)
        newcomer.send(associate_request())
        assert newcomer.rejection() == (2, 3, 2)
        archive.send(pdata(1, 0, data[16000:32000]))
        archive.send(pdata(1, 2, data[32000:]))
        assert archive.response().Status == 0x0000


def test_fuzzed_associations_leave_the_receiver_whole(receiver, series):
    """A good conversation with random damage, 60 times: the process lives, threads and files go away."""
    dataset = mr_object()
    good = associate_request() + pdata(1, 3, store_command(dataset.SOPInstanceUID)) + pdata(1, 2, encoded(dataset))
    chance = random.Random(7)
    with undisturbed(receiver, series):
        for _ in range(60):
            damaged = bytearray(good)
            for _ in range(chance.randint(1, 8)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            with RawScu(receiver.port) as scu, contextlib.suppress(OSError):
                scu.send(bytes(damaged[: chance.randint(1, len(damaged))]))
                if chance.random() < 0.3:
                    scu.pdu()
    until(lambda: receiver.usage().num_threads() < 12, "threads gone", 60)
    until(lambda: not receiver.leftovers(), "temporary files gone", 30)


def test_a_negotiation_of_many_contexts(receiver):
    """128 contexts, most of them not ours: one answer each, in order."""
    contexts = [(MR if number % 4 == 0 else generate_uid(), [EXPLICIT]) for number in range(128)]
    with RawScu(receiver.port) as scu:
        answer = scu.associate(contexts=contexts)
        assert [context.result for context in answer.presentation_context] == [0, 3, 3, 3] * 32
        scu.release()


def test_descriptors_are_given_back(receiver):
    """A hundred connections later no descriptor is left open."""
    before = receiver.usage().num_fds()
    for _ in range(100):
        with RawScu(receiver.port) as scu:
            scu.associate()
            scu.release()
    until(lambda: receiver.usage().num_fds() <= before + 2, "descriptors closed", 30)


@pytest.mark.parametrize(
    "about",
    [{"MessageIDBeingRespondedTo": 7}, {}, {"MessageIDBeingRespondedTo": [7, 8]}, {"MessageID": 7}],
    ids=["request", "nothing", "two requests", "its own ID"],
)
def test_a_cancel_has_no_answer_and_harms_nothing(receiver, about):
    """A C-CANCEL-RQ names the request that it is about and has no ID of its own (PS3.7 9.3.2.3): nothing is answered,
    the association goes on and the log says so, also where it names none."""
    cancel = command(CommandField=0x0FFF, CommandDataSetType=0x101, **about)
    dataset = mr_object()
    with RawScu(receiver.port) as scu:
        scu.associate()
        scu.send(pdata(1, 3, cancel))
        assert scu.store(dataset.SOPInstanceUID, encoded(dataset)) == 0x0000
        scu.send(pdata(1, 3, cancel))
        scu.release()
    assert receiver.lines("cancel ignored")


def test_a_response_that_names_no_request_harms_nothing(receiver):
    """Nothing is answered to a response, so the stream can be followed whatever it lacks (PS3.7 10.3.1.2)."""
    response = command(CommandField=0x8100, CommandDataSetType=0x101, Status=0)
    dataset = mr_object()
    with RawScu(receiver.port) as scu:
        scu.associate()
        scu.send(pdata(1, 3, response))
        assert scu.store(dataset.SOPInstanceUID, encoded(dataset)) == 0x0000
        scu.release()
