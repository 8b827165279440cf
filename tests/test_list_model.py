"""Pages of the store against a plain list: random jobs, filters, limits and short scans."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coatcheck.engine import listing
from coatcheck.engine.jobs import ENDED, SECOND, State, Submission
from coatcheck.engine.listing import Filter
from coatcheck.engine.store import Store

from .jobs import MORNING, Hands, add, back, completed, failed, opened, submission

OWNERS = ("key:alice", "key:bob")
MODELS = ("one", "two")
OPERATIONS = ("embeddings", "completions")
#: Far fewer than there are, so that most pages end with the scan.
SCAN = 5


@dataclass(frozen=True)
class Known:
    submission: Submission
    state: State
    #: Whether it was released to its fallback.
    moved: bool

    def matches(self, filter: Filter) -> bool:
        s = self.submission
        expected: tuple[tuple[Any, Any], ...] = (
            (filter.owner, s.owner),
            (filter.operation, s.operation),
            (filter.provider, s.targets[1 if self.moved else 0].provider),
            (filter.model, s.model),
        )
        return (
            all(wanted in (None, has) for wanted, has in expected)
            and (filter.states is None or self.state in filter.states)
            and (filter.created_after is None or s.created_at > filter.created_after)
            and (filter.created_before is None or s.created_at < filter.created_before)
            and s.id.startswith(filter.prefix or "")
            and not (self.state in ENDED and s.ttl_seconds == 1)
        )


JOBS = st.lists(
    st.tuples(
        st.sampled_from(OWNERS),
        st.sampled_from(MODELS),
        st.sampled_from(OPERATIONS),
        st.sampled_from(list(State)),
        st.booleans(),
        st.sampled_from([1, 1000]),
        st.integers(0, 3),
    ),
    max_size=25,
)


def maybe(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from([None, None, *values])


MOMENTS = [MORNING + n * SECOND for n in range(4)]
FILTERS = st.builds(
    Filter,
    owner=maybe(OWNERS),
    states=maybe([(State.PENDING,), (State.FAILED, State.CANCELLED), tuple(State)]),
    operation=maybe(OPERATIONS),
    provider=maybe(["echo", "second"]),
    model=maybe([f"echo/{model}" for model in MODELS]),
    created_after=maybe(MOMENTS),
    created_before=maybe(MOMENTS),
)


async def made(store: Store, number: int, kind: tuple[Any, ...]) -> Known:
    """A job that has come into that state."""
    owner, model, operation, state, moved, ttl, second = kind
    asked = submission(model, "second/echo", owner=owner, ttl_seconds=ttl, created_at=MOMENTS[second])._replace(
        operation=operation, id=f"{number % 3}c90c3cc-0d44-4b50-8888-{number:012d}"
    )
    lane = f"lane {number}"
    await add(store, asked, lane=lane)
    if moved:
        (job,) = await store.claim(lane, {owner: 1})
        assert await store.release(job, back(job, target=1))
    if state is State.CANCELLED:
        assert await store.cancel(asked.id, None) is not None
    elif state is not State.PENDING:
        (job,) = await store.claim(lane, {owner: 1})
        if state.ended:
            assert await store.finish(job, completed() if state is State.COMPLETED else failed())
    return Known(asked, state, moved)


@given(kinds=JOBS, filters=st.lists(FILTERS, min_size=1, max_size=8), limit=st.integers(1, 6), prefix=maybe(["0c90"]))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_the_pages_are_the_list(
    folder: Path, run: Any, kinds: list[tuple[Any, ...]], filters: list[Filter], limit: int, prefix: str | None
) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            jobs = [await made(store, number, kind) for number, kind in enumerate(kinds)]
            hands.pass_(2)
            for one in filters:
                filter = replace(one, prefix=prefix)
                found, before, pages = [], None, 0
                while True:
                    page = await store.page(filter, before=before, limit=limit)
                    assert len(page.jobs) <= limit
                    found += [job.id for job in page.jobs]
                    pages += 1
                    if page.next is None:
                        break
                    assert before is None or page.next < before, "the cursor does not move on"
                    before = page.next
                assert found == [known.submission.id for known in reversed(jobs) if known.matches(filter)]
                assert pages <= len(jobs) // SCAN + len(found) // limit + 2

    # Hypothesis goes on in the same folder.
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "SCAN", SCAN)
        run(main())
