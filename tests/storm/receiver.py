"""Who is told of ends in a storm: it remembers what it was told, and now and then does not take it at once."""

import random
from collections import defaultdict

import orjson

from ..receivers import Receiver
from .ledger import Entry, Fault, Ledger

#: Of the attempts, so many are answered 503.
_REFUSED = 0.05


class Told:
    def __init__(self, ledger: Ledger, chance: random.Random) -> None:
        self.server = Receiver(answer=lambda: 503 if chance.random() < _REFUSED else 204)
        self._ledger = ledger

    def audit(self) -> None:
        """Compares what came with what was said: of each end one thing, as often as it took."""
        told: dict[str, dict[str, bytes]] = defaultdict(dict)
        while self.server.waiting:
            got = self.server.next()
            id = got.headers["webhook-id"]
            known = told[got.json["data"]["job_id"]]
            if known.setdefault(id, got.body) != got.body:
                self._ledger.fault(Fault.UNTOLD, f"delivery {id} was {known[id]!r}, and then {got.body!r}")
            self._ledger.counts["deliveries received"] += 1
        for entry in self._ledger.entries.values():
            if entry.chat.receiver is not None and (entry.outcome is not None or entry.deleted):
                self._compare(entry, list(told[entry.id].values()))

    def _compare(self, entry: Entry, bodies: list[bytes]) -> None:
        if len(bodies) != 1:
            self._ledger.fault(Fault.UNTOLD, f"of the end of job {entry.id} {len(bodies)} things were told")
            return
        data, outcome = orjson.loads(bodies[0])["data"], entry.outcome
        if outcome is not None and (data["status"], data.get("response")) != (outcome["status"], outcome.get("result")):
            self._ledger.fault(Fault.UNTOLD, f"job {entry.id} ended with {outcome}, and was told to have with {data}")
