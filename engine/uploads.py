"""What clients have uploaded for later jobs."""

import asyncio
from collections.abc import Sequence

from . import upload_table
from .batches import Batches
from .clock import Clock
from .upload_table import Upload

#: Uploads that are removed at once.
_AT_ONCE = 256


class Uploads:
    """Those of one database; reached as `store.uploads`."""

    def __init__(self, writes: Batches, reads: Batches, searches: Batches, clock: Clock, freed: asyncio.Event) -> None:
        """`freed` is set when files may be left to remove."""
        self._writes = writes
        self._reads = reads
        self._searches = searches
        self._clock = clock
        self._freed = freed

    async def add(self, upload: Upload) -> None:
        """Returns when the upload is on disk, as its file is. A caller that is cancelled takes nothing back."""
        await self._writes.ask(upload_table.add, upload)

    async def find(self, id: str, owner: str) -> Upload | None:
        """None if it is unknown, expired or another owner's."""
        return await self._reads.ask(upload_table.find, (id, owner, self._clock.expiry()))

    async def size_bytes(self, owner: str) -> int:
        """Of all the owner's uploads together."""
        return await self._searches.ask(upload_table.sizes, (owner, self._clock.expiry()))

    async def page(self, owner: str, purpose: str | None, page: int, limit: int) -> tuple[list[Upload], int]:
        """That page of the owner's uploads, from 1, newest first, and how many there are on all pages; `purpose` None:
        of any."""
        asked = upload_table.Page(owner, purpose, (page - 1) * limit, limit, self._clock.expiry())
        return await self._searches.ask(upload_table.page, asked)

    async def remove(self, owner: str, ids: Sequence[str] | None) -> int:
        """How many of the owner's uploads there were among those; `ids` None: all of them. Jobs keep what they use."""
        count = 0
        while True:
            gone = await self._writes.ask(
                upload_table.remove, upload_table.Removal(owner, ids, self._clock.expiry(), _AT_ONCE)
            )
            count += gone
            self._freed.set()
            if gone < _AT_ONCE:
                return count

    async def sweep(self, most: int) -> int:
        """Removes at most that many that have expired; how many went."""
        count = await self._writes.ask(upload_table.sweep, (self._clock.expiry(), most))
        if count:
            self._freed.set()
        return count
