"""Who holds how many slots, over all lanes, of those owners whose concurrency is limited.

A lane that could not take a slot for such an owner is parked here, and told when one is given back: first the lane that
has been parked longest, so that one lane of an owner does not starve another.
"""

from collections.abc import Callable

#: Told of an owner that may have a slot again.
Room = Callable[[str], None]


class Ledger:
    def __init__(self, cap: Callable[[str], int | None] = lambda _owner: None) -> None:
        """`cap` gives how many slots an owner may hold; None: any number, and nothing is kept of it."""
        self._cap = cap
        self._held: dict[str, int] = {}
        self._parked: dict[str, dict[Room, None]] = {}

    def free(self, owner: str) -> bool:
        """Whether the owner may have one more slot."""
        cap = self._cap(owner)
        return cap is None or self._held.get(owner, 0) < cap

    def take(self, owner: str) -> bool:
        """Takes a slot for this owner; False if it has as many as it may."""
        cap = self._cap(owner)
        if cap is None:
            return True
        held = self._held.get(owner, 0)
        if held >= cap:
            return False
        self._held[owner] = held + 1
        return True

    def give_back(self, owner: str, count: int = 1) -> None:
        """The owner holds so many slots less; parked lanes are told."""
        held = self._held.get(owner)
        # Asked of what was counted, not of the cap: that goes with its key, while jobs run.
        if held is None:
            return
        if held > count:
            self._held[owner] = held - count
        else:
            del self._held[owner]
        for room in list(self._parked.get(owner, ())):
            room(owner)

    def park(self, owner: str, room: Room) -> None:
        """`room` is called whenever the owner gives a slot back; one that is parked already keeps its place."""
        self._parked.setdefault(owner, {})[room] = None

    def leave(self, owner: str, room: Room) -> None:
        """`room` wants no slot any more, or has taken one."""
        parked = self._parked[owner]
        del parked[room]
        if not parked:
            del self._parked[owner]
