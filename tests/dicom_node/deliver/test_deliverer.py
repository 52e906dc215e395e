"""The deliverer, on a real database with a clock that the test moves; what destinations answer is given by the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.clock import ManualClock
from support.databases import sqlite_url, with_schema

from db.clock import clamp_deliveries
from db.deliveries import DeliveryTable
from db.engine import open_database
from db.jobs import JobTable
from db.records import Job, NewDelivery
from dicom_node.deliver.deliverer import Deliverer
from dicom_node.deliver.patience import DeliveryPatience
from dicom_node.deliver.paused import PausedDestinations
from dicom_node.deliver.send import SendOutcome
from dicom_node.node.destinations import Destination
from dicom_node.node.errors import StorageTrouble

DAY = 86_400
FILES = ["seg.dcm", "sr.dcm"]
GENERIC = ["seg.dcm", "regions.dcm", "summary.dcm", "summary-2.dcm", "probability.dcm", "sr.dcm"]
LEGACY = ["summary.dcm", "presentation.dcm", "report-pdf.dcm"]
REPORT = {"SOPInstanceUID": "1.2.3"}
BREAKS = -1  # an answer on which sending raises an unexpected error


class Setting:
    """A job that is delivering to some destinations, and a deliverer."""

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        known: Sequence[str] | None = None,
        files: Sequence[str] = FILES,
        total_seconds: float = 7 * DAY,
    ) -> None:
        url = sqlite_url(folder)
        with_schema(url)
        self.clock = ManualClock()
        self.database = open_database(url, self.clock)
        self.jobs = JobTable(self.database)
        self.table = DeliveryTable(self.database)
        self.answers: dict[str, int | None] = dict.fromkeys(names, 0x0000)
        self.answers_to: dict[str, int | None] = {}
        """By the file's name, at every destination."""
        self.unsupported = ""  # SOP class of what is answered 0x0122
        self.asked: list[str] = []
        self.sent: list[tuple[str, str]] = []
        for name in files:
            (folder / name).write_bytes(b"dicom")
        self.folder = folder
        job = self.jobs.enqueue("1.2.3", "0" * 64, 1)
        self.jobs.claim("worker", 60)
        self.jobs.deliver(job.id, "worker", {}, [NewDelivery(name, files) for name in names], REPORT)
        self.job_id = job.id
        self.paused = PausedDestinations(self.clock.still)
        self.patience = DeliveryPatience(first_seconds=30, longest_seconds=3600, total_seconds=total_seconds)
        self._known = known or names
        self.deliverer = self.another("deliverer")

    def another(self, owner: str, **options: Any) -> Deliverer:
        """A deliverer of that name."""
        return Deliverer(
            owner=owner,
            deliveries=self.table,
            destinations={
                name: Destination(name=name, ae_title=name.upper(), host="h", port=104) for name in self._known
            },
            storage=self.folder,
            send=self._send,
            patience=self.patience,
            lease_seconds=60,
            paused=self.paused,
            **options,
        )

    @property
    def job(self) -> Job:
        """The job as it stands."""
        return self.jobs.get(self.job_id)

    def run_hours(self, hours: int) -> None:
        """Deliver what is due, hour by hour."""
        for _ in range(hours):
            self.run(3601)

    def run(self, seconds: float = 0) -> None:
        """Let time pass, then deliver what is due."""
        self.clock.pass_seconds(seconds)
        while self.deliverer.deliver_once():
            pass

    def _send(
        self, paths: Sequence[Path], destination: Destination, go_on: Callable[[SendOutcome], bool]
    ) -> list[SendOutcome]:
        self.asked.append(destination.name)
        status = self.answers[destination.name]
        if status == BREAKS:
            raise ValueError("DOE^JANE")
        outcomes = []
        for path in paths:
            answer = self.answers_to.get(path.name, status)
            unsupported = self.unsupported if answer == 0x0122 else ""
            lost = answer is None and status is not None  # the peer answers other objects
            outcomes.append(SendOutcome(path, answer, answer == 0x0000, "as the test says", unsupported, lost))
            if answer == 0x0000:
                self.sent.append((destination.name, path.name))
            if not go_on(outcomes[-1]):
                break
        for path in paths[len(outcomes) :]:
            outcomes.append(SendOutcome(path, None, False, "not tried"))
            go_on(outcomes[-1])
        return outcomes


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    """Two destinations."""
    made = Setting(tmp_path, ["pacs", "archive"])
    with closing(made.database):
        yield made


def test_all_have_it(setting: Setting) -> None:
    """A job is done when every destination has the result, each asked once."""
    setting.run()
    assert setting.job.state == "done"
    assert sorted(setting.asked) == ["archive", "pacs"]


def test_one_is_down_for_days(setting: Setting) -> None:
    """A destination that is down is tried at growing intervals for days; the other got its result at once."""
    setting.answers["archive"] = None
    setting.run()
    assert setting.job.state == "delivering"
    for _ in range(6 * 24):
        setting.run(3600)
    assert setting.asked.count("pacs") == 1
    assert 100 < setting.asked.count("archive") < 200
    setting.answers["archive"] = 0x0000
    setting.run(3601)
    assert setting.job.state == "done"


def test_given_up_after_a_week(setting: Setting) -> None:
    """After the days that the settings give, the delivery is given up and the job fails with the last reason."""
    setting.answers["archive"] = None
    for _ in range(8 * 24):
        setting.run(3600)
    assert setting.job.state == "failed"
    assert "archive" in (setting.job.reason or "")
    asked = setting.asked.count("archive")
    setting.run(DAY)
    assert setting.asked.count("archive") == asked


def test_refusals_are_believed_the_third_time(setting: Setting) -> None:
    """ "SOP class not supported" is asked for three times, then the job fails and says which destination and why."""
    setting.answers["archive"] = 0x0122
    setting.run()
    setting.run(31)
    assert setting.job.state == "delivering"
    setting.run(61)
    assert setting.job.state == "failed"
    assert setting.asked.count("archive") == 3
    assert "archive" in (setting.job.reason or "")
    assert "0x0122" in (setting.job.reason or "")


def test_a_class_that_the_destination_takes_not(setting: Setting) -> None:
    """A job that failed for a SOP class of ours says what to do: accept it and retry, or another profile."""
    setting.answers["archive"] = 0x0122
    setting.unsupported = "1.2.840.10008.5.1.4.1.1.66.4"
    for seconds in (0, 31, 61):
        setting.run(seconds)
    assert setting.job.state == "failed"
    for words in ("accept the SOP class there", f"`wmh-node jobs retry {setting.job_id}`", "the profile +legacy"):
        assert words in (setting.job.reason or "")


def test_refusals_are_counted_across_restarts(setting: Setting) -> None:
    """A deliverer that starts again goes on where the last one was: refusals in a row are in the table."""
    setting.answers["archive"] = 0x0122
    for number, seconds in enumerate((0, 31, 61)):
        assert setting.job.state == "delivering"
        setting.deliverer = setting.another(f"deliverer {number}")
        setting.run(seconds)
    assert setting.job.state == "failed"


def test_out_of_resources_goes_on(setting: Setting) -> None:
    """A700 is never "sent", and never given up before the days have passed."""
    setting.answers["archive"] = 0xA700
    for _ in range(20):
        setting.run(3600)
    assert setting.job.state == "delivering"


def test_a_down_destination_is_not_asked_for_every_row(setting: Setting) -> None:
    """After a try without an answer, further rows of that destination wait a moment, and no timeout is waited for."""
    setting.answers["archive"] = None
    setting.run()
    other = setting.jobs.enqueue("1.2.4", "1" * 64, 1)
    setting.jobs.claim("worker", 60)
    setting.jobs.deliver(other.id, "worker", {}, [NewDelivery("archive", FILES), NewDelivery("pacs", FILES)])
    setting.run(1)
    assert setting.asked == ["pacs", "archive", "pacs"]


def test_a_destination_that_left_the_settings(tmp_path: Path) -> None:
    """A destination that was taken out of the settings is said, and does not stop the others."""
    setting = Setting(tmp_path, ["pacs", "gone"], known=["pacs"])
    setting.run()
    assert setting.asked == ["pacs"]
    reasons = {delivery.destination: delivery.reason for delivery in setting.table.list(setting.job_id)}
    assert "no longer in the settings" in (reasons["gone"] or "")


def test_a_file_that_is_gone(setting: Setting) -> None:
    """A result that was deleted from the outbox is analysed again, and the file's name is in the job's timeline."""
    (setting.folder / "outbox").mkdir()
    (setting.folder / "seg.dcm").unlink()
    setting.run()
    assert setting.job.state == "queued"
    assert setting.asked == []
    assert "seg.dcm" in setting.jobs.events(setting.job_id)[-1].detail


def test_a_storage_that_is_away(setting: Setting) -> None:
    """When the whole outbox is gone nothing is made again: its disk is awaited, as a destination is."""
    for name in FILES:
        (setting.folder / name).rename(setting.folder / f"{name} elsewhere")
    setting.run()
    assert setting.job.state == "delivering"
    for name in FILES:
        (setting.folder / f"{name} elsewhere").rename(setting.folder / name)
    setting.run(31)
    assert setting.job.state == "done"


def test_an_outbox_that_cannot_be_looked_into(setting: Setting) -> None:
    """An error of the file system, here a name that it cannot hold, postpones that delivery and stops no other."""
    other = setting.jobs.enqueue("1.2.4", "1" * 64, 1)
    setting.jobs.claim("worker", 60)
    setting.jobs.deliver(other.id, "worker", {}, [NewDelivery("pacs", ["x" * 300])])
    setting.run()
    assert setting.job.state == "done"
    assert setting.jobs.get(other.id).state == "delivering"
    assert "cannot be read" in (setting.table.list(other.id)[0].reason or "")


def test_a_refusal_after_an_outage_is_one_refusal(setting: Setting) -> None:
    """Attempts that brought no answer are no refusals: a PACS that comes back and refuses once is asked again."""
    setting.answers["archive"] = None
    for _ in range(5):
        setting.run(3600)
    setting.answers["archive"] = 0x0122
    setting.run(3600)
    assert setting.job.state == "delivering"
    setting.answers["archive"] = 0x0000
    setting.run(3600)
    assert setting.job.state == "done"


def test_no_report_about_a_segmentation_that_was_not_taken(setting: Setting) -> None:
    """The SR is not sent where the SEG was refused; elsewhere both go, the SEG first."""
    setting.answers["archive"] = 0xA700
    setting.run()
    assert setting.sent == [("pacs", "seg.dcm"), ("pacs", "sr.dcm")]


@pytest.mark.parametrize("status", [0x0122, 0xA900])
@pytest.mark.parametrize(
    ("files", "refused", "taken"),
    [
        (GENERIC, ["seg.dcm"], ["regions.dcm", "summary.dcm", "summary-2.dcm", "probability.dcm"]),
        (GENERIC, ["regions.dcm"], ["seg.dcm", "summary.dcm", "summary-2.dcm", "probability.dcm"]),
        (GENERIC, ["seg.dcm", "regions.dcm", "probability.dcm"], ["summary.dcm", "summary-2.dcm"]),
        (GENERIC, ["summary.dcm"], ["seg.dcm", "regions.dcm", "summary-2.dcm", "probability.dcm", "sr.dcm"]),
        (LEGACY, ["presentation.dcm"], ["summary.dcm", "report-pdf.dcm"]),
        (["seg-labelmap.dcm", "summary.dcm", "sr-labelmap.dcm"], ["seg-labelmap.dcm"], ["summary.dcm"]),
        (["page.dcm", "seg.dcm", "other.dcm"], ["seg.dcm"], ["page.dcm"]),
    ],
)
def test_what_a_refusal_keeps_back(
    tmp_path: Path, files: list[str], refused: list[str], taken: list[str], status: int
) -> None:
    """A PACS that refuses one object gets every other but the report that refers to it; the delivery is never "sent":
    it is given up the third time, and the reason names what was refused, what was kept back and what is there."""
    setting = Setting(tmp_path, ["pacs"], files=files)
    with closing(setting.database):
        setting.answers_to = dict.fromkeys(refused, status)
        for number, seconds in enumerate((0, 31, 61), start=1):
            assert setting.job.state == "delivering"
            setting.run(seconds)
            assert setting.asked == ["pacs"] * number
            assert [name for _, name in setting.sent[: len(taken)]] == taken, "at once, not when it is believed"
        assert setting.job.state == "failed"
        said = (setting.job.reason or "").split("; ")
        assert f"{', '.join(refused)}: status 0x{status:04X} (as the test says)" in said[0]
        assert (f"{', '.join(taken)} stored" in said) == bool(taken)
        kept = [name for name in files if name not in {*refused, *taken}]
        assert any(f"{', '.join(kept)} not sent, because it refers" in delivery for delivery in said) == bool(kept)
        assert [delivery.state for delivery in setting.table.list(setting.job_id)] == ["given_up"]


def test_what_a_refusal_keeps_back_when_nothing_is_taken(tmp_path: Path) -> None:
    """A file that is none of ours may refer to anything: it is not sent, and the reason names nothing as stored."""
    setting = Setting(tmp_path, ["pacs"], files=["seg.dcm", "other.dcm"])
    with closing(setting.database):
        setting.answers_to = {"seg.dcm": 0x0122}
        for seconds in (0, 31, 61):
            setting.run(seconds)
        assert (setting.sent, setting.job.state) == ([], "failed")
        assert "other.dcm not sent, because it refers" in (setting.job.reason or "")
        assert "stored" not in (setting.job.reason or "")


@pytest.mark.parametrize("answers", [{}, {"summary.dcm": 0x0122}], ids=["all", "all but a class that it never takes"])
def test_a_destination_that_understands_nothing_is_in_trouble(tmp_path: Path, answers: dict[str, int | None]) -> None:
    """Who answers 0xCxxx to everything, as some do on a full disk, is tried for days like one that is out of resources,
    and gets every object when that is over."""
    setting = Setting(tmp_path, ["pacs"], files=["seg.dcm", "summary.dcm", "presentation.dcm"])
    with closing(setting.database):
        setting.answers["pacs"] = 0xC211
        setting.answers_to = answers
        for _ in range(3 * 24):
            setting.run(3600)
        assert setting.job.state == "delivering"
        setting.answers["pacs"], setting.answers_to = 0x0000, {}
        setting.run(3601)
        assert setting.job.state == "done"


@pytest.mark.parametrize("there", [0x0000, 0x0111], ids=["overwritten", "a duplicate"])
@pytest.mark.parametrize("status", [0xC211, 0xA700])
def test_a_disk_that_fills_up_in_the_middle_of_a_set(tmp_path: Path, there: int, status: int) -> None:
    """First file taken, the others not: what is there already proves nothing. Once there is room, all is sent."""
    setting = Setting(tmp_path, ["pacs"], files=["seg.dcm", "summary.dcm", "sr.dcm"])
    with closing(setting.database):
        setting.answers_to = {"summary.dcm": status, "sr.dcm": status}
        setting.run()
        setting.answers_to["seg.dcm"] = there
        for seconds in (31, 61, 3600):
            setting.run(seconds)
            assert setting.job.state == "delivering"
        setting.answers_to = {}
        setting.run(3600)
        assert setting.job.state == "done"
        assert {("pacs", "summary.dcm"), ("pacs", "sr.dcm")} <= set(setting.sent)


def test_trouble_beside_a_refusal(tmp_path: Path) -> None:
    """Where a page may be taken later, the refusal of the SEG ends nothing yet; what was stored before is not lost."""
    setting = Setting(tmp_path, ["pacs"], files=GENERIC)
    with closing(setting.database):
        setting.answers_to = {"seg.dcm": 0x0122, "summary-2.dcm": 0xA700}
        for _ in range(5):
            setting.run(3600)
        assert setting.job.state == "delivering"
        (waiting,) = setting.table.list(setting.job_id)
        assert "summary-2.dcm: status 0xA700" in (waiting.reason or "")
        assert "seg.dcm: status 0x0122" in (waiting.reason or "")
        del setting.answers_to["summary-2.dcm"]
        for _ in range(3):
            setting.run(3600)
        assert setting.job.state == "failed"
        assert ("pacs", "summary-2.dcm") in setting.sent
        assert ("pacs", "sr.dcm") not in setting.sent


@pytest.mark.parametrize(
    ("answers", "is_out"),
    [
        ({"summary.dcm": 0x0122}, True),
        ({"sr.dcm": None}, True),
        ({"summary.dcm": 0xC211, "sr.dcm": None}, True),
        ({"seg.dcm": 0x0122}, False),
        ({"sr.dcm": 0x0122}, False),
        ({"sr.dcm": 0xA700}, False),
        ({"summary.dcm": None}, True),
        ({"summary.dcm": 0xA700}, True),
        ({"seg.dcm": None}, False),
        ({"seg.dcm": 0xA700}, False),
        (dict.fromkeys(["seg.dcm", "summary.dcm", "sr.dcm"], None), False),
    ],
)
@pytest.mark.parametrize("is_late", [False, True], ids=["tried again", "given up"])
@pytest.mark.slow
def test_a_report_that_may_be_out(tmp_path: Path, answers: dict[str, int | None], is_out: bool, is_late: bool) -> None:
    """A delivery that was not sent as a whole remembers that the report was stored, or may have been since its answer
    was lost; not one that was refused, kept back or never reached."""
    setting = Setting(tmp_path, ["pacs"], files=["seg.dcm", "summary.dcm", "sr.dcm"])
    with closing(setting.database):
        setting.answers_to = answers
        setting.run()
        setting.run_hours(8 * 24 * is_late)
        (delivery,) = setting.table.list(setting.job_id)
        assert (delivery.state, delivery.report_out) == ("given_up" if is_late else "pending", is_out)


@pytest.mark.parametrize(("refused", "named"), [("summary.dcm", REPORT), ("seg.dcm", None)])
def test_a_later_result_names_the_report_that_was_stored(
    tmp_path: Path, refused: str, named: dict[str, str] | None
) -> None:
    """Where pages are refused the delivery is given up, and the PACS has the report anyway: the next names it.
    Where the report was kept back there is nothing to name."""
    setting = Setting(tmp_path, ["pacs"], files=["seg.dcm", "summary.dcm", "sr.dcm"])
    with closing(setting.database):
        setting.answers_to = {refused: 0x0122}
        for seconds in (0, 31, 61):
            setting.run(seconds)
        assert setting.job.state == "failed"
        assert setting.jobs.earlier_report(setting.jobs.enqueue("1.2.3", "1" * 64, 2)) == named


@pytest.mark.parametrize(
    ("status", "words"),
    [(0xC001, "status 0xC001"), (0xA700, "status 0xA700"), (0x0110, "status 0x0110"), (None, "no answer")],
)
def test_an_object_that_is_never_taken(tmp_path: Path, status: int | None, words: str) -> None:
    """The others go at once, and the timeline says why it does not. After a seventh of the time that is tried at all,
    and three more of the same answers, the delivery is given up with that reason."""
    setting = Setting(tmp_path, ["pacs"], files=GENERIC, total_seconds=7 * 60)
    with closing(setting.database):
        setting.answers_to = {"seg.dcm": status}
        setting.run()
        taken = ["regions.dcm", "summary.dcm", "summary-2.dcm", "probability.dcm"]
        assert [name for _, name in setting.sent] == taken
        for where in (setting.jobs.events(setting.job_id)[-1].detail, setting.table.list(setting.job_id)[0].reason):
            assert f"seg.dcm: {words}" in (where or "")
            assert f"{', '.join(taken)} stored" in (where or "")
        for seconds in (31, 61, 121):
            setting.run(seconds)
            assert setting.job.state == "delivering"
        setting.run(241)
        assert setting.job.state == "failed"
        assert "refused 5 times: seg.dcm: " in (setting.job.reason or "")


@pytest.mark.parametrize("answers", [(0xA700, 0x0110), (0xA700, 0xC001, None), (None, 0xC211, 0xC001, 0x0124)])
def test_an_object_that_is_never_taken_for_changing_reasons(tmp_path: Path, answers: tuple[int | None, ...]) -> None:
    """It counts as refused as soon as one that gets the same answer each time, since the others are taken each time."""
    setting = Setting(tmp_path, ["pacs"], files=GENERIC, total_seconds=7 * 60)
    with closing(setting.database):
        for number, seconds in enumerate((0, 31, 61, 121, 241)):
            assert setting.job.state == "delivering"
            setting.answers_to = {"seg.dcm": answers[number % len(answers)]}
            setting.run(seconds)
        assert setting.job.state == "failed"
        assert "refused 5 times: seg.dcm: " in (setting.job.reason or "")


def test_objects_that_change_are_trouble_of_the_destination(tmp_path: Path) -> None:
    """What may pass is believed when the same objects are not taken each time."""
    setting = Setting(tmp_path, ["pacs"], files=GENERIC, total_seconds=7 * 60)
    with closing(setting.database):
        for number in range(6):
            setting.answers_to = {"seg.dcm" if number % 2 else "summary.dcm": 0xA700}
            setting.run(61)
            assert setting.job.state == "delivering"


def test_an_object_that_is_never_taken_does_not_hold_up_a_newer_result(tmp_path: Path) -> None:
    """The older set of a series is given up once a newer one waits behind it, and says so; the newer one is sent."""
    setting = Setting(tmp_path, ["pacs"], files=GENERIC)
    with closing(setting.database):
        setting.answers_to = {"seg.dcm": 0xA700}
        setting.run()
        newer = setting.jobs.enqueue("1.2.3", "1" * 64, 2)
        setting.jobs.claim("worker", 60)
        setting.jobs.deliver(newer.id, "worker", {}, [NewDelivery("pacs", ["summary.dcm"])])
        setting.run(31)
        assert setting.job.state == "failed"
        assert f"the newer result of job {newer.id} waits for it" in (setting.job.reason or "")
        assert setting.jobs.get(newer.id).state == "done"


def test_a_destination_that_aborts_at_one_object_is_not_down(tmp_path: Path) -> None:
    """Other result sets go to it at once, and the timeline says what was not taken."""
    setting = Setting(tmp_path, ["pacs"], files=GENERIC)
    with closing(setting.database):
        setting.answers_to = {"seg.dcm": None}
        other = setting.jobs.enqueue("1.2.4", "1" * 64, 1)
        setting.jobs.claim("worker", 60)
        setting.jobs.deliver(other.id, "worker", {}, [NewDelivery("pacs", ["summary.dcm"])])
        setting.run()
        assert setting.jobs.get(other.id).state == "done"
        assert setting.job.state == "delivering"
        said = setting.jobs.events(setting.job_id)[-1].detail
        assert "seg.dcm: no answer" in said
        assert "regions.dcm, summary.dcm, summary-2.dcm, probability.dcm stored" in said


@pytest.mark.parametrize("step", [3600.0, 10 * DAY, -3600.0, -10 * DAY])
def test_the_clock_is_set_while_a_destination_is_down(setting: Setting, step: float) -> None:
    """Nothing is given up for it, and the next try is no later than it would have been."""
    setting.answers["archive"] = None
    setting.run()
    setting.clock.step(step)
    clamp_deliveries(setting.database, setting.patience.wait_after, 60)
    setting.run(31)
    assert setting.asked.count("archive") == 2
    assert setting.job.state == "delivering"
    setting.answers["archive"] = 0x0000
    setting.run(61)
    assert setting.job.state == "done"


def test_a_sender_keeps_its_row_when_the_clock_is_set_forward(setting: Setting) -> None:
    """Right after a step no sender takes a row whose lease seems to have run out."""
    held = setting.table.claim("another", 60, skip=["archive"])
    assert held is not None
    setting.clock.step(2 * 3600)
    setting.deliverer = setting.another("deliverer", has_settled=lambda _seconds: False)
    setting.run()
    assert setting.asked == ["archive"]
    setting.table.sent(held.id, "another")
    assert setting.job.state == "done"


def test_taken_after_a_refusal(tmp_path: Path) -> None:
    """A PACS that is taught SEG between two attempts gets the rest; what it has already is no trouble."""
    setting = Setting(tmp_path, ["pacs"], files=GENERIC)
    with closing(setting.database):
        setting.answers_to = {"seg.dcm": 0x0122}
        setting.run()
        setting.answers_to = {"summary.dcm": 0x0111}
        setting.run(31)
        assert setting.job.state == "done"
        assert ("pacs", "sr.dcm") in setting.sent


def test_an_unforeseen_error_with_one_destination(setting: Setting) -> None:
    """What breaks while sending to one destination costs that delivery an attempt, and its text is kept nowhere."""
    setting.answers["archive"] = BREAKS
    setting.run()
    assert ("pacs", "sr.dcm") in setting.sent
    assert setting.job.state == "delivering"
    (reason,) = [
        delivery.reason for delivery in setting.table.list(setting.job_id) if delivery.destination == "archive"
    ]
    assert "ValueError" in (reason or "")
    assert "DOE" not in (reason or "")
    setting.answers["archive"] = 0x0000
    setting.run(3600)
    assert setting.job.state == "done"


def test_a_set_of_another_machine_is_fetched(tmp_path: Path) -> None:
    """What is not here is fetched before it counts as lost; while the store is away the delivery waits, and the job is
    not made again."""
    setting = Setting(tmp_path, ["pacs"])
    (setting.folder / "outbox").mkdir()
    (setting.folder / "sr.dcm").unlink()
    asked: list[Sequence[str]] = []
    trouble: list[str] = ["it does not answer"]

    def fetch(paths: Sequence[str]) -> None:
        asked.append(paths)
        if trouble:
            raise StorageTrouble(trouble[0])
        for path in paths:
            (setting.folder / path).write_bytes(b"dicom")

    setting.deliverer = setting.another("deliverer", fetch=fetch)
    setting.run()
    (row,) = setting.table.list(setting.job_id)
    assert (str(row.state), str(setting.job.state)) == ("pending", "delivering")
    assert "the result set is not here yet" in (row.reason or "") and "it does not answer" in (row.reason or "")
    trouble.clear()
    setting.run(31)
    assert (asked, str(setting.job.state)) == ([["sr.dcm"]] * 2, "done")
