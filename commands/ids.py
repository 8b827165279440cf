"""Which job a person means: by its id, or by the beginning of it."""

import re

from coatcheck.engine.errors import CoatcheckError

from .client import Server
from .options import Misunderstood

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_BEGINNING = re.compile(r"[0-9a-f-]{4,35}", re.ASCII)
#: Pages of the newest jobs that are looked through for the beginning of an id; each is of thousands.
_PAGES = 10

#: The help of an argument that is one.
HELP = "a job's id, or its first characters: 4 or more"


def find(server: Server, given: str) -> str:
    """The id of the job that is meant; raises `CoatcheckError` if there is none, or more than one.

    A whole id is taken as it is."""
    text = given.strip().lower()
    if _ID.fullmatch(text):
        return text
    if not _BEGINNING.fullmatch(text):
        raise Misunderstood(f"{given!r} is no job's id, and not the beginning of one (4 characters or more)")
    found: list[str] = []
    cursor, pages = "", 0
    while pages < _PAGES and len(found) < 2:
        page = server.ask("GET", f"/v1/async/jobs?id={text}{cursor}").json
        found += [job["id"] for job in page["data"]]
        if "next" not in page:
            break
        cursor, pages = f"&cursor={page['next']}", pages + 1
    if not found:
        raise CoatcheckError(f"no job of the newest has an id that begins with {text}; `coatcheck jobs` lists them")
    if len(found) > 1:
        raise CoatcheckError(f"more than one job has an id that begins with {text}: {', '.join(found[:5])}")
    return found[0]
