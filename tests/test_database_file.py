"""The database's file under a running server: known by another name, or taken away."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.errors import StoreLocked, StoreUnavailable
from coatcheck.engine.settings import JobSettings
from coatcheck.engine.store import Store
from coatcheck.engine.sweeper import Sweeper

from .jobs import Hands, add, found, opened, submission


def test_a_link_to_a_database_that_is_owned_is_owned_too(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with opened(folder):
            other = folder / "other"
            other.mkdir()
            (other / "coatcheck.db").symlink_to(folder / "coatcheck.db")
            with pytest.raises(StoreLocked, match="is owned by another process"):
                await Store.open(other / "coatcheck.db")

    run(main())


def test_nothing_is_accepted_into_a_database_that_was_removed(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            sweeper = Sweeper(store, JobSettings(), hands.clock)
            kept = submission()
            await add(store, kept)
            shutil.move(folder / "coatcheck.db", folder / "elsewhere.db")
            with pytest.raises(StoreUnavailable, match="was removed or replaced while the server runs"):
                await sweeper.sweep()
            with pytest.raises(StoreUnavailable, match="was removed or replaced"):
                await add(store, submission())
            shutil.move(folder / "elsewhere.db", folder / "coatcheck.db")
            await sweeper.sweep()
            await add(store, submission())
            assert (await found(store, kept.id)).job.id == kept.id

    run(main())
