"""How many jobs wait, and how many may."""

from collections.abc import Callable

from .errors import Overloaded
from .limits import Limits, unlimited
from .settings import JobSettings


class Backlog:
    """A counter per owner. Held and ready jobs count alike; so does a submit that is on its way to the disk."""

    def __init__(self, settings: JobSettings, limits: Callable[[str], Limits] = unlimited) -> None:
        self._most = settings.max_pending
        self._most_per_owner = settings.max_pending_per_owner
        self._limits = limits
        self._owners: dict[str, int] = {}
        self.total = 0

    def admit(self, owner: str) -> None:
        """Counts one more job of this owner, or raises `Overloaded`."""
        self.look(owner)
        self.add(owner)

    def look(self, owner: str) -> None:
        """Raises `Overloaded` if one more job of this owner would be too many; counts nothing."""
        if self.total >= self._most:
            raise Overloaded(f"{self.total} jobs are waiting, which is the most this server takes", retry_after=5)
        mine = self._owners.get(owner, 0)
        most = self._limits(owner).max_pending
        if mine >= (self._most_per_owner if most is None else most):
            raise Overloaded(f"{mine} of your jobs are waiting, which is the most an owner may have", retry_after=5)

    def add(self, owner: str, count: int = 1) -> None:
        """Jobs wait (again), whether there is room or not."""
        self.total += count
        self._owners[owner] = self._owners.get(owner, 0) + count

    def remove(self, owner: str) -> None:
        """A job no longer waits."""
        self.total -= 1
        left = self._owners[owner] - 1
        if left:
            self._owners[owner] = left
        else:
            del self._owners[owner]
