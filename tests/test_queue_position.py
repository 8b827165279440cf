"""The position of a waiting job, against the turns that then come."""

import copy
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from coatcheck.engine.turns import Turns

OWNERS = "abcde"

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.sampled_from(OWNERS), st.integers(1, 6)),
        st.tuples(st.just("leave"), st.sampled_from(OWNERS), st.just(1)),
        st.tuples(st.just("claim"), st.integers(1, 7), st.integers(0, 3)),
        st.tuples(st.just("plan"), st.integers(1, 4), st.just(0)),
    ),
    max_size=40,
)


def order(turns: Turns) -> list[str]:
    """The owners of all that waits, in the order of their turns."""
    turns, found = copy.deepcopy(turns), []
    while plan := turns.plan(1):
        turns.settle(plan, plan)
        found += plan
    return found


@given(steps=STEPS)
@settings(max_examples=300, deadline=None)
def test_the_position_of_every_job_is_that_of_its_turn(steps: list[tuple[str, Any, int]]) -> None:
    turns = Turns()
    planned: Counter[str] = Counter()

    def settle(void: int = 0) -> None:
        # Some of the jobs were gone when they were to be claimed.
        got = planned - Counter(list(planned.elements())[:void])
        turns.settle(dict(planned), got)
        planned.clear()

    for kind, what, count in steps:
        if kind == "arrive":
            turns.arrive(what, count)
        elif kind == "leave" and (turns._owners[what].waiting if what in turns._owners else 0) > planned[what]:
            turns.leave(what)
        elif kind in ("claim", "plan"):
            settle(count)
            planned.update(turns.plan(what))
            if kind == "claim":
                settle(count)
        ahead: Counter[str] = Counter(planned)
        for position, owner in enumerate(order(turns), planned.total()):
            assert turns.before(owner, ahead[owner]) == position
            ahead[owner] += 1


@given(steps=STEPS)
@settings(max_examples=100, deadline=None)
def test_the_bound_for_the_latest_job_holds_and_is_none_for_one_that_is_alone(
    steps: list[tuple[str, Any, int]],
) -> None:
    turns = Turns()
    for kind, what, count in steps:
        if kind == "arrive":
            turns.arrive(what, count)
            waiting = turns._owners[what].waiting
            assert turns.before(what, waiting - 1) <= turns.ahead(what)
            if turns.waiting == 1:
                assert turns.ahead(what) == 0
        elif kind == "claim":
            plan = turns.plan(what)
            turns.settle(plan, plan)
