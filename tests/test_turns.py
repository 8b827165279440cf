"""Fair turns, as properties: shares, caps, waiting times, and counts that never drift."""

import tracemalloc
from collections import Counter
from math import floor

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from coatcheck.engine.ledger import Ledger
from coatcheck.engine.turns import Turns

OWNERS = ("a", "b", "c", "d")
#: Powers of two, so that their reciprocals add up exactly.
WEIGHTS = st.fixed_dictionaries({owner: st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0]) for owner in OWNERS})
CAPS = st.fixed_dictionaries({owner: st.sampled_from([None, None, 1, 2, 5]) for owner in OWNERS})


def serve(turns: Turns, slots: int = 1) -> dict[str, int]:
    """One claim that brings what was planned, for jobs that end at once."""
    plan = turns.plan(slots)
    turns.settle(plan, plan)
    for owner, count in plan.items():
        for _ in range(count):
            turns.done(owner)
    return plan


class Lane(RuleBasedStateMachine):
    """A lane in all of its moods: arrivals, cancels before and during a claim, voids, slots that come back late.

    The rounds are checked on those owners that wait all the time and may run: between two turns of one of them,
    another gets no more turns than its weight's share of that round, and one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights: dict[str, float] = dict.fromkeys(OWNERS, 1.0)
        self.caps: dict[str, int | None] = dict.fromkeys(OWNERS)
        self.turns = Turns(weight=lambda owner: self.weights[owner], ledger=Ledger(lambda owner: self.caps[owner]))
        self.waiting: Counter[str] = Counter()
        self.running: Counter[str] = Counter()
        #: For an owner that could run ever since its last turn: the turns of the others since then.
        self.since: dict[str, Counter[str]] = {}
        self.begun = False

    @precondition(lambda self: not self.begun)
    @rule(weights=WEIGHTS, caps=CAPS)
    def configure(self, weights: dict[str, float], caps: dict[str, int | None]) -> None:
        self.weights, self.caps, self.begun = weights, caps, True

    @rule(owner=st.sampled_from(OWNERS), count=st.integers(1, 12))
    def arrive(self, owner: str, count: int) -> None:
        self.begun = True
        self.turns.arrive(owner, count)
        self.waiting[owner] += count

    @precondition(lambda self: +self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        owner = data.draw(st.sampled_from(sorted(+self.waiting)))
        self.turns.leave(owner)
        self.waiting[owner] -= 1
        self._watch()

    @rule(owner=st.sampled_from(OWNERS))
    def be_cancelled_before_the_arrival_is_announced(self, owner: str) -> None:
        self.turns.leave(owner)
        self.turns.arrive(owner)

    @rule(slots=st.integers(1, 4), data=st.data())
    def claim(self, slots: int, data: st.DataObject) -> None:
        able = {owner: self._able(owner) for owner in OWNERS}
        plan = self.turns.plan(slots)
        assert sum(plan.values()) == min(slots, sum(able.values())), "slots stay free although a job waits"
        assert all(count <= able[owner] for owner, count in plan.items()), "more turns than jobs, or over the cap"
        void = {owner: data.draw(st.sampled_from([0, 0, 0, count])) for owner, count in plan.items()}
        before = data.draw(st.booleans())
        for owner, count in void.items() if before else ():
            # The jobs of the void turns were cancelled ahead of the claim, and that is told first …
            self.turns.leave(owner, count)
        got = {owner: count - void[owner] for owner, count in plan.items() if count > void[owner]}
        self.turns.settle(plan, got)
        for owner, count in void.items() if not before else ():
            # … or last.
            self.turns.leave(owner, count)
        self.waiting.subtract(plan)
        self.running.update(got)
        if slots == 1:
            self._round(got)
        else:
            self.since.clear()
        self._watch()

    @precondition(lambda self: +self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        owner = data.draw(st.sampled_from(sorted(+self.running)))
        self.turns.done(owner)
        self.running[owner] -= 1

    @invariant()
    def what_waits_is_what_the_announcements_add_up_to(self) -> None:
        assert self.turns.waiting == self.waiting.total()

    def teardown(self) -> None:
        """Whatever happened, the lane runs dry."""
        self.since.clear()
        for owner in +self.running:
            for _ in range(self.running[owner]):
                self.turns.done(owner)
        served: Counter[str] = Counter()
        while plan := serve(self.turns):
            served.update(plan)
        assert served == +self.waiting
        assert self.turns.waiting == 0

    def _able(self, owner: str) -> int:
        cap = self.caps[owner]
        return self.waiting[owner] if cap is None else max(min(self.waiting[owner], cap - self.running[owner]), 0)

    def _round(self, got: dict[str, int]) -> None:
        for owner in got:
            for patient, others in self.since.items():
                if patient != owner:
                    others[owner] += 1
                    share = floor(self.weights[owner] / self.weights[patient]) + 1
                    assert others[owner] <= share, f"{patient} waits, while {owner} has {others[owner]} turns"
            self.since[owner] = Counter()

    def _watch(self) -> None:
        self.since = {owner: others for owner, others in self.since.items() if self._able(owner)}


TestLane = Lane.TestCase
TestLane.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


@given(WEIGHTS, st.integers(1, 400))
def test_owners_that_all_wait_are_served_in_proportion_to_their_weights(weights: dict[str, float], count: int) -> None:
    turns = Turns(weight=weights.__getitem__)
    for owner in OWNERS:
        turns.arrive(owner, 1000)
    served: Counter[str] = Counter()
    for _ in range(count):
        served.update(serve(turns))
        for a in OWNERS:
            for b in OWNERS:
                apart = abs(served[a] / weights[a] - served[b] / weights[b])
                assert apart <= 1 / weights[a] + 1 / weights[b], f"{a} and {b} drift apart: {served}"


@given(st.integers(1, 64), st.integers(1, 300))
def test_a_claim_for_many_slots_serves_as_many_claims_for_one_would(slots: int, waiting: int) -> None:
    turns = Turns()
    for owner in OWNERS:
        turns.arrive(owner, waiting)
    plan = serve(turns, slots)
    assert sum(plan.values()) == min(slots, waiting * len(OWNERS))
    assert max(plan.values()) - min(plan.get(owner, 0) for owner in OWNERS) <= 1


def test_a_newcomer_is_served_within_one_round_however_much_waits() -> None:
    turns = Turns()
    turns.arrive("noisy", 1_000_000)
    for _ in range(1000):
        serve(turns)
    turns.arrive("quiet")
    assert "quiet" in serve(turns) | serve(turns)


@given(st.lists(st.sampled_from(["submit", "submit and cancel", "turn"]), max_size=200))
def test_an_owner_that_comes_and_goes_gets_no_more_than_its_half(steps: list[str]) -> None:
    turns = Turns()
    turns.arrive("steady", 10_000)
    served: Counter[str] = Counter()
    waits = 0
    for step in steps:
        if step == "submit" and not waits:
            turns.arrive("fickle")
            waits = 1
        elif step == "submit and cancel":
            turns.arrive("fickle")
            turns.leave("fickle")
        else:
            plan = serve(turns)
            served.update(plan)
            waits -= plan.get("fickle", 0)
    assert served["fickle"] <= served["steady"] + 1


def test_an_owner_at_its_cap_saves_up_no_turns() -> None:
    caps: dict[str, int | None] = {"capped": 1}
    turns = Turns(ledger=Ledger(caps.get))
    turns.arrive("capped", 500)
    turns.arrive("steady", 5000)
    held = turns.plan(1)
    assert held == {"capped": 1}
    turns.settle(held, held)
    for _ in range(1000):
        assert serve(turns) == {"steady": 1}
    turns.done("capped")
    caps["capped"] = None
    served = Counter(owner for _ in range(100) for owner in serve(turns))
    assert served["steady"] >= 49, "what was not used under the cap is taken afterwards, from others"


def test_the_end_of_a_capped_job_does_not_set_the_clock_back_for_newcomers() -> None:
    turns = Turns(ledger=Ledger({"capped": 1}.get))
    turns.arrive("capped", 2)
    turns.arrive("steady", 5000)
    held = turns.plan(1)
    turns.settle(held, held)
    for _ in range(1000):
        serve(turns)
    turns.done("capped")
    assert serve(turns) == {"capped": 1}
    turns.arrive("newcomer", 5000)
    served = Counter(owner for _ in range(100) for owner in serve(turns))
    assert served["steady"] >= 49, "a newcomer gets the turns of a time before it came"


def test_turns_that_brought_nothing_give_no_right_to_turns_of_the_past() -> None:
    turns = Turns()
    turns.arrive("absent", 1000)
    turns.settle(turns.plan(256), {})
    turns.arrive("newcomer", 1000)
    served = Counter(owner for _ in range(100) for owner in serve(turns))
    assert served["newcomer"] >= 49, "the newcomer waits for turns that were void before it came"


def test_a_job_that_follows_a_cancelled_one_is_served() -> None:
    turns = Turns()
    turns.arrive("busy", 2)
    turns.arrive("late", 2)
    plan = turns.plan(3)
    assert plan == {"busy": 2, "late": 1}
    turns.settle(plan, plan)
    turns.leave("late")
    turns.arrive("late")
    turns.done("busy")
    assert serve(turns) == {"late": 1}, "a slot is free, a job waits, and its owner's turn is lost"


def test_an_owner_that_rests_and_comes_back_to_cancel_may_be_the_last() -> None:
    turns = Turns()
    turns.arrive("other", 5)
    turns.arrive("resting")
    plan = turns.plan(2)
    turns.settle(plan, plan)
    turns.done("resting")
    turns.arrive("resting")
    turns.leave("other", 4)
    turns.leave("resting")
    assert turns.waiting == 0
    turns.arrive("resting")
    assert serve(turns) == {"resting": 1}


def test_owners_that_have_gone_are_forgotten() -> None:
    turns = Turns()
    turns.arrive("steady", 200_000)
    tracemalloc.start()
    try:
        for number in range(20_000):
            turns.arrive(f"visitor {number}")
            assert sum(serve(turns, 2).values()) == 2
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 50_000, "memory grows with the owners that ever were"


def test_submitting_and_cancelling_while_no_slot_is_free_takes_no_memory() -> None:
    turns = Turns()
    turns.arrive("busy", 2)
    serve(turns)
    tracemalloc.start()
    try:
        for number in range(20_000):
            turns.arrive(f"visitor {number % 10}")
            turns.leave(f"visitor {number % 10}")
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 50_000, "memory grows with the jobs that ever were"


def test_an_owner_whose_cancel_was_told_before_its_arrival_is_forgotten() -> None:
    turns = Turns()
    tracemalloc.start()
    try:
        for number in range(20_000):
            turns.leave(f"visitor {number}")
            turns.arrive(f"visitor {number}")
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert turns.waiting == 0
    assert grown < 50_000, "memory grows with the owners that ever were"
