"""Which version of the project runs."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version() -> str:
    """That which is installed; "unknown" where the code runs from a folder."""
    try:
        return installed("coatcheck")
    except PackageNotFoundError:
        return "unknown"
