"""What the server has said, written down by its clients as they hear it, and what it should not have said."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .chats import Chat

#: What a poll says of a job that has ended, and must go on to say.
_OUTCOME = ("status", "state", "status_code", "completed_at", "expires_at", "result", "error")


class Fault(StrEnum):
    #: Accepted, and unknown, unlisted or never ended.
    LOST = "lost"
    #: Ended twice, or otherwise than before.
    TWICE = "twice"
    #: An upstream call was made again that may not be.
    CALLED_TWICE = "called twice"
    #: An idempotency key has made two jobs.
    KEY_TWICE = "keys with two jobs"
    #: Of an end nobody was told, or two things.
    UNTOLD = "untold ends"
    #: A durable event was missed, doubled or changed.
    STREAM = "events missed or doubled"
    #: An end that the job's model cannot have, a status that has no reason, a job that a delete left behind.
    WRONG = "wrong answers"


@dataclass(eq=False, kw_only=True)
class Entry:
    """What is known of one job."""

    id: str
    chat: Chat
    #: The job that it repeats.
    parent: str | None = None
    #: As the first answer that showed it said it.
    outcome: dict[str, Any] | None = None
    #: A cancel was asked for; and was answered with success.
    cancelling: bool = False
    cancelled: bool = False
    #: Deletes that were asked for and not refused; whether one has come to pass.
    deletes: int = 0
    deleted: bool = False
    #: The last ETag, and whether the job had ended then.
    etag: tuple[str, bool] | None = None
    #: Durable events, by their number.
    story: dict[int, tuple[str, Any]] = field(default_factory=dict)

    def knows(self) -> "Known":
        """To be asked before a request is sent: answers may overtake each other."""
        return Known(ended=self.outcome is not None, deleted=self.deleted)


@dataclass(frozen=True, kw_only=True)
class Known:
    ended: bool
    deleted: bool


class Ledger:
    def __init__(self) -> None:
        #: Where ends are told to; set before anything is asked.
        self.receiver = ""
        #: Every job that was accepted, by id, in the order in which that was heard.
        self.entries: dict[str, Entry] = {}
        self.keys: dict[str, Entry] = {}
        #: Chats with a key that were sent and not answered, since a kill came between; to be sent again.
        self.unanswered: list[Chat] = []
        #: How many jobs may be there for a text: the first, and one for each retry that was asked for.
        self.wanted: Counter[str] = Counter()
        self.faults: dict[Fault, list[str]] = {fault: [] for fault in Fault}
        #: How often what was done or heard.
        self.counts: Counter[str] = Counter()
        #: Whether refusals with 503 have a reason: the disk is full, or the server stops.
        self.rough = False

    @property
    def ended(self) -> int:
        """Jobs that are known to have ended; only these can be deleted."""
        return sum(entry.outcome is not None or entry.deleted for entry in self.entries.values())

    @property
    def faultless(self) -> bool:
        return not any(self.faults.values())

    def fault(self, fault: Fault, text: str) -> None:
        self.faults[fault].append(text)

    def accept(self, chat: Chat, id: str, parent: str | None = None) -> Entry:
        """Notes a 202, or a replay of one."""
        known = self.keys.get(chat.key) if chat.key is not None else None
        if known is not None and known.id != id:
            self.fault(Fault.KEY_TWICE, f"key {chat.key} was answered with job {known.id}, and then with {id}")
        entry = self.entries.get(id)
        if entry is None:
            entry = self.entries[id] = Entry(id=id, chat=chat, parent=parent)
        elif known is not entry:
            self.fault(Fault.WRONG, f"two submits were answered with job {id}")
        if chat.key is not None:
            self.keys.setdefault(chat.key, entry)
        return entry

    def hear(self, entry: Entry, knew: Known, status: int, shown: dict[str, Any]) -> bool:
        """Notes the answer to a poll; whether the job has ended."""
        self.counts["polls"] += 1
        if status == 404:
            if entry.deletes:
                entry.deleted = True
            else:
                self.fault(Fault.LOST, f"job {entry.id} was accepted and is unknown")
            return True
        if knew.deleted:
            self.fault(Fault.WRONG, f"job {entry.id} was deleted and is there again")
        if status == 200:
            self.hear_end(entry, shown)
            return True
        if status != 202:
            self.fault(Fault.WRONG, f"a poll of job {entry.id} was answered {status}: {shown}")
        elif knew.ended:
            self.fault(Fault.TWICE, f"job {entry.id} had ended, and is {shown['status']} again")
        return False

    def hear_end(self, entry: Entry, shown: dict[str, Any]) -> None:
        """Notes the job as it is shown after its end."""
        outcome = {key: shown[key] for key in _OUTCOME if key in shown}
        if entry.outcome is None:
            entry.outcome = outcome
            if misfit := entry.chat.misfit(outcome, cancelled=entry.cancelling):
                self.fault(Fault.WRONG, f"job {entry.id}, {entry.chat.model}: {misfit}: {outcome}")
        elif outcome != entry.outcome:
            self.fault(Fault.TWICE, f"job {entry.id} ended with {entry.outcome}, and then with {outcome}")
        if entry.cancelled and outcome.get("state") != "cancelled":
            self.fault(Fault.TWICE, f"job {entry.id} was cancelled, and has ended with {outcome}")

    def hear_event(self, entry: Entry, number: int, after: int, kind: str, data: Any) -> None:
        """Notes a durable event that came after the one with the number `after` (-1: it is the first)."""
        self.counts["events"] += 1
        if number != after + 1:
            self.fault(Fault.STREAM, f"job {entry.id}: event {number} came after {after}")
        if entry.story.setdefault(number, (kind, data)) != (kind, data):
            self.fault(Fault.STREAM, f"job {entry.id}: event {number} was {entry.story[number]}, and is {(kind, data)}")
