"""The Prefer header (RFC 7240): `wait=N` holds an answer back until the job ends, `respond-async` does not."""

import re
from dataclasses import dataclass

from multidict import CIMultiDictProxy, istr

PREFER = istr("Prefer")
#: Preferences that are looked at.
_MOST = 100
_WAIT = re.compile(r'"?([0-9]{1,6})"?', re.ASCII)


@dataclass(frozen=True, slots=True)
class Preference:
    #: Seconds, as many as are granted; None: no waiting was asked for.
    wait: int | None = None
    respond_async: bool = False

    def headers(self, *, ended: bool) -> dict[str, str]:
        """What the answer says of it; `ended`: the job had ended in time."""
        applied = []
        if self.respond_async and not ended:
            applied.append("respond-async")
        if self.wait is not None:
            applied.append(f"wait={self.wait}")
        return {"Vary": "Prefer", **({"Preference-Applied": ", ".join(applied)} if applied else {})}


def preference(headers: CIMultiDictProxy[str], most: int) -> Preference | None:
    """What a request prefers, of what we know; None if it has no such header. Of a preference that is there twice the
    first counts, and one that is not understood is left out, as the RFC has it."""
    if PREFER not in headers:
        return None
    wait: int | None = None
    seen: set[str] = set()
    for item in ",".join(headers.getall(PREFER)).split(",", _MOST)[:_MOST]:
        name, _, value = item.partition(";")[0].partition("=")
        name, value = name.strip().lower(), value.strip()
        if name == "wait" and name not in seen and (found := _WAIT.fullmatch(value)):
            wait = min(int(found[1]), most)
        seen.add(name)
    return Preference(wait, "respond-async" in seen)
