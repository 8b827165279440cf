"""What a job may be of: the operations of the v1 dialect and the features of v3, by their canonical names."""

from .features.table import FEATURES
from .operations import OPERATIONS


def answers_files(operation: str) -> bool:
    """Whether a result of the operation or feature can hold files; False for one that is not known."""
    known = OPERATIONS.get(operation) or FEATURES.get(operation)
    return known is not None and known.answers_files


def every() -> list[str]:
    """All of them."""
    return [*OPERATIONS, *FEATURES]
