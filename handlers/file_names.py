"""Names of files as others give them."""

import re

_LONGEST = 255


def cleaned(name: str) -> str:
    """The name without folders and what cannot be printed; its end, which says what kind of file it is, if it is
    long."""
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(letter for letter in name if letter.isprintable()).strip()
    return "" if name in (".", "..") else name[-_LONGEST:]
