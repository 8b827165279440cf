"""The store against a model in plain Python: random arrows, stale attempts, cancels, sweeps and restarts."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, invariant, multiple, rule

from coatcheck.engine.jobs import ENDED, SECOND, Job, Release, State, Submission

from .jobs import TERMINAL, add, completed, failed, rows, submission
from .machines import OnStore

OWNERS = ("key:alice", "key:bob")
LANES = ("fast", "slow")
#: None, or seconds from now.
HOLDS = st.sampled_from([None, 0, 5, 50])


@dataclass
class Model:
    """A job, as it ought to be."""

    submission: Submission
    lane: str
    order: int
    state: State = State.PENDING
    attempt: int = 0
    calls: int = 0
    tries: int = 0
    target: int = 0
    run_at: int | None = None
    claimed_at: int | None = None
    started_at: int | None = None
    completed_at: int | None = None
    body: bytes | None = None
    story: list[str] = field(default_factory=list)

    @property
    def cancel_at(self) -> int | None:
        return self.submission.cancel_at

    @property
    def expires_at(self) -> int | None:
        return None if self.completed_at is None else self.completed_at + self.submission.ttl_seconds * SECOND

    def end(self, state: State, now: int, body: bytes | None) -> None:
        self.state, self.completed_at, self.body, self.run_at = state, now, body, None
        self.story.append(state)


class StoreMachine(OnStore):
    attempts: Bundle[Job] = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, Model] = {}
        self.gone: list[str] = []
        self.submitted = 0

    @rule(
        owner=st.sampled_from(OWNERS),
        lane=st.sampled_from(LANES),
        priority=st.integers(0, 7),
        ttl=st.sampled_from([1, 10, 100]),
        due=HOLDS,
    )
    def submit(self, owner: str, lane: str, priority: int, ttl: int, due: int | None) -> None:
        now = self.hands.wall
        asked = submission("echo", "echo", owner=owner, priority=priority, ttl_seconds=ttl, created_at=now)
        asked = asked._replace(cancel_at=None if due is None else now + due * SECOND)
        self.runner.run(add(self.store, asked, lane=lane))
        self.submitted += 1
        self.jobs[asked.id] = Model(asked, lane, self.submitted)

    @rule(
        target=attempts,
        lane=st.sampled_from(LANES),
        turns=st.dictionaries(st.sampled_from(OWNERS), st.integers(1, 3), min_size=1),
    )
    def claim(self, lane: str, turns: dict[str, int]) -> MultipleResults[Job]:
        expected = []
        for owner, count in turns.items():
            ready = [
                model
                for model in self.jobs.values()
                if (model.state, model.run_at, model.lane, model.submission.owner) == (State.PENDING, None, lane, owner)
            ]
            ready.sort(key=lambda model: (model.submission.priority, model.order))
            expected += ready[:count]
        claimed = self.runner.run(self.store.claim(lane, turns))
        assert {job.id for job in claimed} == {model.submission.id for model in expected}
        for model in expected:
            model.state, model.started_at = State.PROCESSING, self.hands.wall
            model.claimed_at = model.claimed_at or self.hands.wall
            model.attempt, model.calls, model.tries = model.attempt + 1, model.calls + 1, model.tries + 1
            model.story.append("claimed")
        return multiple(*claimed)

    @rule(job=attempts, good=st.booleans(), keep=st.booleans())
    def finish(self, job: Job, good: bool, keep: bool) -> None:
        outcome = completed() if good else failed()
        won = self.runner.run(self.store.finish(job, outcome, keep_request=keep))
        assert won == self._holds(job)
        if won:
            self.jobs[job.id].end(outcome.state, self.hands.wall, outcome.body)

    @rule(job=attempts, lane=st.sampled_from(LANES), hold=HOLDS, refund=st.booleans(), fall_back=st.booleans())
    def release(self, job: Job, lane: str, hold: int | None, refund: bool, fall_back: bool) -> None:
        run_at = None if hold is None else self.hands.wall + hold * SECOND
        target, tries = (1, 0) if fall_back else (job.target, job.tries)
        release = Release(reason="retry", lane=lane, target=target, tries=tries, refund=int(refund), run_at=run_at)
        won = self.runner.run(self.store.release(job, release))
        assert won == self._holds(job)
        if won:
            model = self.jobs[job.id]
            model.state, model.started_at, model.run_at, model.lane = State.PENDING, None, run_at, lane
            model.target, model.tries, model.calls = target, tries, model.calls - refund
            model.story.append("released")

    @rule(job=attempts, cancel_first=st.booleans())
    def finish_and_cancel_at_once(self, job: Job, cancel_first: bool) -> None:
        async def race() -> tuple[bool, Job | None]:
            moves = [self.store.finish(job, completed()), self.store.cancel(job.id, None)]
            answers = await asyncio.gather(*(reversed(moves) if cancel_first else moves))
            won, before = reversed(answers) if cancel_first else answers
            return won, before

        won, before = self.runner.run(race())
        holds, model = self._holds(job), self.jobs.get(job.id)
        alive = model is not None and model.state not in ENDED
        assert won == (holds and not cancel_first)
        assert (before is not None) == (alive and not won)
        if model is not None and alive:
            if won:
                model.end(State.COMPLETED, self.hands.wall, completed().body)
            else:
                model.end(State.CANCELLED, self.hands.wall, None)

    @rule(data=st.data(), owner=st.sampled_from([*OWNERS, None]))
    def cancel(self, data: st.DataObject, owner: str | None) -> None:
        if not (self.jobs or self.gone):
            return
        id = data.draw(st.sampled_from([*self.jobs, *self.gone]))
        model = self.jobs.get(id)
        able = model is not None and model.state not in ENDED and owner in (None, model.submission.owner)
        before = self.runner.run(self.store.cancel(id, owner))
        assert (before is not None) == able
        if before is not None and model is not None:
            assert (before.state, before.attempt, before.run_at) == (model.state, model.attempt, model.run_at)
            model.end(State.CANCELLED, self.hands.wall, None)

    @rule()
    def cancel_due(self) -> None:
        due = [
            model
            for model in self.jobs.values()
            if model.cancel_at is not None and model.state not in ENDED and model.cancel_at <= self.hands.wall
        ]
        before = self.runner.run(self.store.cancel_due())
        assert {(job.id, job.state) for job in before} == {(model.submission.id, model.state) for model in due}
        for model in due:
            model.end(State.CANCELLED, self.hands.wall, None)

    @rule(data=st.data(), owner=st.sampled_from([*OWNERS, None]))
    def delete(self, data: st.DataObject, owner: str | None) -> None:
        if not (self.jobs or self.gone):
            return
        id = data.draw(st.sampled_from([*self.jobs, *self.gone]))
        model = self.jobs.get(id)
        able = model is not None and model.state in ENDED and owner in (None, model.submission.owner)
        assert self.runner.run(self.store.delete(id, owner)) == able
        if able:
            del self.jobs[id]
            self.gone.append(id)

    @rule()
    def promote(self) -> None:
        due = [model for model in self.jobs.values() if model.run_at is not None and model.run_at <= self.hands.wall]
        promoted = self.runner.run(self.store.promote(3600))
        assert sorted(promoted) == sorted((model.lane, model.submission.owner) for model in due)
        for model in due:
            model.run_at = None

    @rule(seconds=st.sampled_from([0.5, 5, 60]))
    def time_passes(self, seconds: float) -> None:
        self.hands.pass_(seconds)

    @rule(most=st.integers(1, 4))
    def sweep(self, most: int) -> None:
        expired = sorted(
            (model for model in self.jobs.values() if model.expires_at and model.expires_at <= self.hands.wall),
            key=lambda model: model.expires_at or 0,
        )
        assert self.runner.run(self.store.sweep(most)) == min(most, len(expired))
        left = {id for (id,) in rows(self.folder / "coatcheck.db", "SELECT id FROM job")}
        for id in set(self.jobs) - left:
            model = self.jobs.pop(id)
            assert model.expires_at is not None
            assert model.expires_at <= self.hands.wall
            self.gone.append(id)

    @rule()
    def restart(self) -> None:
        self.runner.run(self.store.close())
        self.store = self.runner.run(self.opened())

    @invariant()
    def every_job_is_as_it_ought_to_be(self) -> None:
        if hasattr(self, "store"):
            self.runner.run(self._compare())

    async def _compare(self) -> None:
        ids = [*self.jobs, *self.gone]
        tickets = await asyncio.gather(*(self.store.ticket(id, None) for id in ids))
        for id, ticket in zip(ids, tickets, strict=True):
            model = self.jobs.get(id)
            if model is None or (model.expires_at is not None and model.expires_at <= self.hands.wall):
                assert ticket is None
                continue
            assert ticket is not None
            assert ticket.body == model.body
            for name in (
                "state", "attempt", "calls", "tries", "target", "lane", "run_at",
                "claimed_at", "started_at", "completed_at", "expires_at", "cancel_at",
            ):  # fmt: skip
                assert getattr(ticket.job, name) == getattr(model, name), name
            other = next(owner for owner in OWNERS if owner != model.submission.owner)
            assert await self.store.ticket(id, other) is None
            story = [event.kind for event in await self.store.story(ticket.job.seq)]
            assert story == model.story
            assert sum(kind in TERMINAL for kind in story) == (model.state in ENDED)
        waits = [model for model in self.jobs.values() if model.state is State.PENDING]
        assert sum(count for *_, count in await self.store.backlog()) == len(waits)
        held = [model.run_at for model in waits if model.run_at is not None]
        due = [model.cancel_at for model in self.jobs.values() if model.cancel_at and model.state not in ENDED]
        run_at, _, cancel_at = await self.store.alarms()
        assert (run_at, cancel_at) == (min(held, default=None), min(due, default=None))
        running = {job.id for job in await self.store.processing()}
        assert running == {id for id, model in self.jobs.items() if model.state is State.PROCESSING}

    def _holds(self, job: Job) -> bool:
        """Whether this attempt is still the job's."""
        model = self.jobs.get(job.id)
        return model is not None and (model.state, model.attempt) == (State.PROCESSING, job.attempt)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
