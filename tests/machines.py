"""A state machine that takes its steps at a real store."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis.stateful import RuleBasedStateMachine, initialize

from coatcheck.engine.store import Store

from .jobs import Hands


class OnStore(RuleBasedStateMachine):
    """The store is there once the first step has been taken; an invariant may be asked before."""

    @initialize()
    def open(self) -> None:
        shm = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="coatcheck-test-", dir=shm if shm.is_dir() else None))
        self.runner = asyncio.Runner()
        self.hands = Hands()
        self.store = self.runner.run(self.opened())

    async def opened(self) -> Store:
        return await Store.open(self.folder / "coatcheck.db", clock=self.hands.clock, blobs=self.folder / "blobs")

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.runner.run(self.store.close())
            self.runner.close()
            shutil.rmtree(self.folder)
