"""The files of jobs against a model in plain Python: submits, retries, ends, deletes, sweeps, crashes."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, invariant, rule

from coatcheck.engine.blobs import Blob
from coatcheck.engine.collector import Collector
from coatcheck.engine.errors import JobNotFound
from coatcheck.engine.jobs import Attached, Submission
from coatcheck.engine.settings import JobSettings

from .files import in_rows, keep, on_disk
from .jobs import add, completed, found, submission
from .machines import OnStore

ROLES = st.lists(st.sampled_from(["file", "image", "mask"]), max_size=3)


@dataclass
class Model:
    """A job's files, by role, as they ought to be."""

    seq: int
    request: list[tuple[str, str]] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    ended: bool = False

    @property
    def blobs(self) -> set[str]:
        return {id for _, id in self.request} | set(self.results)


class BlobMachine(OnStore):
    jobs: Bundle[str] = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Model] = {}
        #: The seq of every job that there was.
        self.seqs: dict[str, int] = {}

    @rule(target=jobs, roles=ROLES)
    def submit(self, roles: list[str]) -> str:
        return self.runner.run(self._submit(roles))

    async def _submit(self, roles: list[str]) -> str:
        attached = []
        for number, role in enumerate(sorted(roles)):
            place = sum(file.role == role for file in attached)
            attached.append(Attached(role, place, await keep(self.store, b"%d" % number)))
        asked = submission(ttl_seconds=10)._replace(files=tuple(attached))
        await self._added(asked, [(file.role, file.blob.id) for file in attached])
        return asked.id

    async def _added(self, asked: Submission, files: list[tuple[str, str]]) -> None:
        await add(self.store, asked)
        self.seqs[asked.id] = seq = (await found(self.store, asked.id)).job.seq
        self.known[asked.id] = Model(seq, files)

    @rule(target=jobs, parent=jobs)
    def retry(self, parent: str) -> str:
        return self.runner.run(self._retry(parent))

    async def _retry(self, parent: str) -> str:
        asked = submission(ttl_seconds=10)._replace(files_of=self.seqs[parent])
        model = self.known.get(parent)
        if model is not None and model.request:
            await self._added(asked, list(model.request))
            return asked.id
        with pytest.raises(JobNotFound):
            await add(self.store, asked)
        return parent

    @rule(count=st.integers(0, 3), keep_request=st.booleans())
    def finish(self, count: int, keep_request: bool) -> None:
        self.runner.run(self._finish(count, keep_request))

    async def _finish(self, count: int, keep_request: bool) -> None:
        for job in await self.store.claim("echo", {submission().owner: 1}):
            blobs: list[Blob] = [await keep(self.store) for _ in range(count)]
            assert await self.store.finish(job, completed(files=blobs), keep_request=keep_request)
            assert not await self.store.finish(job, completed(files=[await keep(self.store)]))
            model = self.known[job.id]
            model.ended, model.results = True, [blob.id for blob in blobs]
            if not keep_request:
                model.request = []

    @rule(id=jobs, keep_request=st.booleans())
    def cancel(self, id: str, keep_request: bool) -> None:
        before = self.runner.run(self.store.cancel(id, None, keep_request=keep_request))
        model = self.known.get(id)
        assert (before is not None) == (model is not None and not model.ended)
        if before is not None and model is not None:
            model.ended = True
            if not keep_request:
                model.request = []

    @rule(id=jobs)
    def delete(self, id: str) -> None:
        model = self.known.get(id)
        assert self.runner.run(self.store.delete(id, None)) == (model is not None and model.ended)
        if model is not None and model.ended:
            del self.known[id]

    @rule()
    def sweep(self) -> None:
        self.hands.pass_(100)
        self.runner.run(self.store.sweep(1000))
        self.known = {id: model for id, model in self.known.items() if not model.ended}

    @rule()
    def collect(self) -> None:
        self.runner.run(Collector(self.store, JobSettings()).collect())

    @rule(removed=st.booleans())
    def cut_off(self, removed: bool) -> None:
        """A process ends while it collects, and another starts."""
        self.runner.run(self._cut_off(removed))

    async def _cut_off(self, removed: bool) -> None:
        some = await self.store.gone(2)
        await self.store.blobs.unlink(*some)
        if removed:
            await self.store.removed(some)
        await self.store.close()
        self.store = await self.opened()
        collector = Collector(self.store, JobSettings())
        assert (await collector.compare()).missing == []
        await collector.collect()
        assert on_disk(self.folder) == in_rows(self.folder)
        size = sum(path.stat().st_size for path in map(self.store.blobs.path, on_disk(self.folder)))
        assert self.store.blobs.size_bytes == size

    @invariant()
    def every_job_has_its_files(self) -> None:
        if hasattr(self, "store"):
            self.runner.run(self._compare())

    async def _compare(self) -> None:
        used: set[str] = set()
        for model in self.known.values():
            used |= model.blobs
            work = await self.store.work(model.seq)
            assert work is not None
            files = [(role, file.path.name) for role, files in sorted(work.files.items()) for file in files]
            assert files == model.request
            results = await self.store.files(model.seq)
            assert [file.blob for file in results] == model.results
            assert all(file.path.exists() for file in results)
        assert in_rows(self.folder) == used
        assert on_disk(self.folder) >= used


TestBlobs = BlobMachine.TestCase
TestBlobs.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
