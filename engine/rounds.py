"""Whose turn it is to be sent something: owners take turns, and so do the receivers of each."""

from collections import Counter
from typing import NamedTuple

#: Receivers that are known to take what they are sent; more are forgotten again.
_KNOWN = 10_000


class Turn(NamedTuple):
    owner: str
    receiver: str
    #: The receiver's last attempt failed, or none is known.
    doubtful: bool


class Rounds:
    """A receiver that is doubtful gets one delivery at a time, and all of them together leave a quarter of the places
    to the others, an owner's half of them to other owners: whoever waits for dead receivers is not waited for."""

    def __init__(self, concurrency: int, receiver_concurrency: int) -> None:
        self._places = concurrency
        self._receiver_places = receiver_concurrency
        self._doubtful_places = concurrency - concurrency // 4
        self._owner_places = max(concurrency // 2, 1)
        #: The receivers for which something may be due, by owner; who comes first is next.
        self._waiting: dict[str, dict[str, None]] = {}
        self._taken = 0
        self._at: Counter[str] = Counter()
        self._doubtful: Counter[str] = Counter()
        self._sound: dict[str, None] = {}

    def arrive(self, owner: str, receiver: str) -> None:
        """Something of the owner's may be due there."""
        self._waiting.setdefault(owner, {}).setdefault(receiver)

    def next(self) -> Turn | None:
        """The next turn, which lasts until its `end`; None: nobody can have one now. Who has had it arrives anew if
        there is more."""
        if self._taken >= self._places:
            return None
        room = self._doubtful.total() < self._doubtful_places
        for owner, receivers in self._waiting.items():
            doubtful = room and self._doubtful[owner] < self._owner_places
            # One by one only where that ends soon: an owner can have thousands of receivers that do not answer.
            for receiver in receivers if doubtful else filter(self._sound.__contains__, receivers):
                if self._at[receiver] < (self._receiver_places if receiver in self._sound else 1):
                    return self._begin(owner, receiver)
        return None

    def end(self, turn: Turn, sound: bool | None) -> None:
        """`sound`: whether the receiver took what it was sent; None: it was sent nothing."""
        self._taken -= 1
        self._less(self._at, turn.receiver)
        if turn.doubtful:
            self._less(self._doubtful, turn.owner)
        if sound:
            self._sound.pop(turn.receiver, None)
            self._sound[turn.receiver] = None
            if len(self._sound) > _KNOWN:
                del self._sound[next(iter(self._sound))]
        elif sound is not None:
            self._sound.pop(turn.receiver, None)

    def _begin(self, owner: str, receiver: str) -> Turn:
        receivers = self._waiting.pop(owner)
        del receivers[receiver]
        if receivers:
            self._waiting[owner] = receivers
        turn = Turn(owner, receiver, receiver not in self._sound)
        self._taken += 1
        self._at[receiver] += 1
        if turn.doubtful:
            self._doubtful[owner] += 1
        return turn

    @staticmethod
    def _less(counter: Counter[str], name: str) -> None:
        counter[name] -= 1
        if not counter[name]:
            del counter[name]
