"""Times and durations as a person reads them."""

from datetime import UTC, datetime

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def moment(text: str) -> datetime:
    """A time of the API."""
    return datetime.fromisoformat(text)


def now() -> datetime:
    return datetime.now(UTC)


def clock(text: str) -> str:
    """The time of day here, with the date if that is another."""
    local = moment(text).astimezone()
    return local.strftime("%H:%M:%S" if local.date() == datetime.now().date() else "%Y-%m-%d %H:%M:%S")


def lasted(seconds: float) -> str:
    """`12 ms`, `3.4 s`, `2 min 5 s`, `3 h 2 min`, `4 d 1 h`; nothing shorter than zero."""
    seconds = max(seconds, 0.0)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    index = next(i for i, (_, size) in enumerate(_UNITS) if round(seconds) >= size)
    (unit, size), (lesser, least) = _UNITS[index], _UNITS[index + 1]
    whole, rest = divmod(round(seconds / least), size // least)
    return f"{whole} {unit} {rest} {lesser}" if rest else f"{whole} {unit}"


def brief(seconds: float) -> str:
    """The same in one unit, for a column: `34 s`, `2 min`, `3 h`."""
    for unit, size in _UNITS[:-1]:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def between(earlier: str, later: str) -> float:
    """Seconds."""
    return (moment(later) - moment(earlier)).total_seconds()
