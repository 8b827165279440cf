"""Moments as vendors tell them."""

from datetime import datetime


def seconds(moment: object) -> int:
    """Since 1970; 0 for what was before, or is no moment (RFC 3339)."""
    try:
        return max(int(datetime.fromisoformat(str(moment)).timestamp()), 0)
    except (ValueError, OverflowError):
        return 0
