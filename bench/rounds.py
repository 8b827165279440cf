"""Rounds that alternate, A B A B: what disturbs the machine disturbs both, and a ratio is taken within each pair."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Rounds:
    #: The pairs (A, B).
    pairs: list[tuple[float, float]]

    @property
    def ratio(self) -> float:
        """The median of B ÷ A over the pairs."""
        return median(b / a for a, b in self.pairs)

    @property
    def a(self) -> float:
        return median(a for a, _ in self.pairs)

    @property
    def b(self) -> float:
        return median(b for _, b in self.pairs)


def alternate(a: Callable[[], float], b: Callable[[], float], pairs: int) -> Rounds:
    """Takes the pairs, after one of each that does not count."""
    a()
    b()
    return Rounds([(a(), b()) for _ in range(pairs)])
