"""An owner's limit over several lanes: never exceeded, never wasted, shared between them."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from coatcheck.engine.ledger import Ledger
from coatcheck.engine.turns import Turns

OWNERS = ("a", "b", "free")
LANES = (0, 1, 2)


class Lane:
    """What the pool does with a lane: it plans while there are slots, and sleeps when that brings nothing."""

    def __init__(self, ledger: Ledger, slots: int) -> None:
        self.turns = Turns(ledger=ledger, woken=self.wake)
        self.slots = slots
        self.waiting: Counter[str] = Counter()
        self.running: Counter[str] = Counter()
        self.plan: dict[str, int] = {}
        self.asleep = False

    def wake(self) -> None:
        self.asleep = False

    def arrive(self, owner: str, count: int = 1) -> None:
        self.turns.arrive(owner, count)
        self.waiting[owner] += count
        self.wake()

    def begin(self) -> None:
        """The first half of a claim."""
        self.plan = self.turns.plan(self.slots - self.running.total())
        self.asleep = not self.plan

    def settle(self, void: int = 0) -> None:
        """The second half; so many of each owner's jobs were cancelled meanwhile."""
        got = {owner: max(count - void, 0) for owner, count in self.plan.items()}
        for owner, count in self.plan.items():
            self.turns.leave(owner, count - got[owner])
        self.turns.settle(self.plan, got)
        self.waiting.subtract(self.plan)
        self.running.update(got)
        self.plan = {}

    def done(self, owner: str) -> None:
        self.running[owner] -= 1
        self.turns.done(owner)
        self.wake()


class Lanes(RuleBasedStateMachine):
    @initialize(
        caps=st.fixed_dictionaries({"a": st.sampled_from([1, 2, 5]), "b": st.sampled_from([1, 3, None])}),
        slots=st.lists(st.integers(1, 4), min_size=3, max_size=3),
    )
    def open(self, caps: dict[str, int | None], slots: list[int]) -> None:
        self.caps: dict[str, int | None] = {**caps, "free": None}
        ledger = Ledger(lambda owner: self.caps[owner])
        self.lanes = [Lane(ledger, count) for count in slots]

    @rule(lane=st.sampled_from(LANES), owner=st.sampled_from(OWNERS), count=st.integers(1, 6))
    def arrive(self, lane: int, owner: str, count: int) -> None:
        self.lanes[lane].arrive(owner, count)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        lane = data.draw(st.sampled_from(self.lanes))
        owner = data.draw(st.sampled_from(OWNERS))
        if lane.waiting[owner] > lane.plan.get(owner, 0):
            lane.turns.leave(owner)
            lane.waiting[owner] -= 1

    @rule(lane=st.sampled_from(LANES))
    def begin(self, lane: int) -> None:
        if not self.lanes[lane].plan:
            self.lanes[lane].begin()

    @rule(lane=st.sampled_from(LANES), void=st.sampled_from([0, 0, 1]))
    def settle(self, lane: int, void: int) -> None:
        self.lanes[lane].settle(void)

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        lane = data.draw(st.sampled_from(self.lanes))
        owner = data.draw(st.sampled_from(OWNERS))
        if lane.running[owner]:
            lane.done(owner)

    @precondition(lambda self: self.caps["a"] is not None)
    @rule()
    def lose_the_limit(self) -> None:
        """The key goes, and its limit with it, while jobs run."""
        self.caps["a"] = None

    @invariant()
    def nobody_holds_more_than_it_may(self) -> None:
        for owner, cap in self.caps.items():
            assert cap is None or self._held(owner) <= cap

    @invariant()
    def no_lane_sleeps_while_it_could_run_something(self) -> None:
        for lane in self.lanes:
            if lane.asleep and lane.running.total() < lane.slots:
                able = [o for o in OWNERS if lane.waiting[o] > 0 and self._may(o)]
                # A limit that went with its key is noticed when the owner's next job ends.
                assert not [owner for owner in able if self.caps[owner] is not None or not self._held(owner)]

    def teardown(self) -> None:
        """Whatever happened, every job gets its turn."""
        if not hasattr(self, "lanes"):
            return
        for lane in self.lanes:
            lane.settle()
        while any(+lane.waiting + +lane.running for lane in self.lanes):
            before = self._left()
            for lane in self.lanes:
                if not lane.asleep:
                    lane.begin()
                    lane.settle()
                for owner in +lane.running:
                    lane.done(owner)
            assert self._left() < before or not any(lane.asleep for lane in self.lanes), "jobs wait, and all sleep"

    def _held(self, owner: str) -> int:
        return sum(lane.running[owner] + lane.plan.get(owner, 0) for lane in self.lanes)

    def _may(self, owner: str) -> bool:
        cap = self.caps[owner]
        return cap is None or self._held(owner) < cap

    def _left(self) -> int:
        return sum(lane.waiting.total() + lane.running.total() for lane in self.lanes)


TestLanes = Lanes.TestCase
TestLanes.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


def test_a_slot_that_is_freed_in_one_lane_lets_a_job_of_another_go() -> None:
    ledger = Ledger({"a": 1}.get)
    one, two = Lane(ledger, 4), Lane(ledger, 4)
    one.arrive("a")
    two.arrive("a")
    one.begin()
    one.settle()
    two.begin()
    assert two.asleep
    one.done("a")
    assert not two.asleep, "the slot is free, and nobody tells the lane whose job waits"
    two.begin()
    assert two.plan == {"a": 1}


def test_a_void_turn_gives_its_slot_back_to_other_lanes() -> None:
    ledger = Ledger({"a": 1}.get)
    one, two = Lane(ledger, 4), Lane(ledger, 4)
    one.arrive("a")
    two.arrive("a")
    one.begin()
    two.begin()
    assert two.asleep
    one.settle(void=1)
    assert not two.asleep


def test_a_lane_that_no_longer_wants_the_slot_is_not_told() -> None:
    ledger = Ledger({"a": 1}.get)
    one, two = Lane(ledger, 4), Lane(ledger, 4)
    one.arrive("a")
    two.arrive("a")
    one.begin()
    one.settle()
    two.begin()
    two.turns.leave("a")
    one.done("a")
    assert two.asleep


def test_jobs_that_waited_for_a_limit_go_on_when_it_goes_with_its_key() -> None:
    caps: dict[str, int | None] = {"a": 1}
    ledger = Ledger(caps.get)
    one, two = Lane(ledger, 4), Lane(ledger, 4)
    one.arrive("a")
    two.arrive("a", 3)
    one.begin()
    one.settle()
    two.begin()
    del caps["a"]
    one.done("a")
    assert not two.asleep
    two.begin()
    assert two.plan == {"a": 3}


def test_the_lanes_of_a_limited_owner_take_turns() -> None:
    ledger = Ledger({"a": 1}.get)
    woken: list[int] = []

    class Noted(Lane):
        def wake(self) -> None:
            super().wake()
            woken.append(lanes.index(self))

    lanes: list[Lane] = []
    for _ in range(3):
        lanes.append(Noted(ledger, 4))
    for lane in lanes:
        lane.arrive("a", 20)
    served: list[int] = []
    while len(served) < 31:
        number = woken.pop(0)
        lanes[number].begin()
        served += [number] * len(lanes[number].plan)
        lanes[number].settle()
        if not woken:
            # The others have tried, and sleep.
            lanes[served[-1]].done("a")
    # The first one had no others before it.
    assert served[1:] == [0, 1, 2] * 10


@pytest.mark.parametrize("cap", [1, 3])
def test_an_owner_without_a_limit_leaves_no_trace(cap: int) -> None:
    ledger = Ledger({"a": cap}.get)
    for _ in range(100):
        assert ledger.take("free")
    assert [ledger.take("a") for _ in range(cap + 1)] == [True] * cap + [False]
    ledger.give_back("free")
    ledger.give_back("a", cap)
    assert ledger.free("a")
