"""Whose turn it is: receivers take turns, dead ones leave room, and no owner fills all places."""

from collections import Counter
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from coatcheck.engine.rounds import Rounds, Turn


def taken(rounds: Rounds) -> list[Turn]:
    """All that can have a turn now; nobody has more to send."""
    turns = []
    while turn := rounds.next():
        turns.append(turn)
    return turns


def sounded(rounds: Rounds, owner: str, *receivers: str) -> None:
    """These have taken what they were sent."""
    for receiver in receivers:
        rounds.arrive(owner, receiver)
        turn = rounds.next()
        assert turn is not None
        assert turn.receiver == receiver
        rounds.end(turn, True)


def full(rounds: Rounds, owner: str, receiver: str) -> int:
    """How many turns it gets while it always has more to send."""
    count = 0
    rounds.arrive(owner, receiver)
    while rounds.next():
        count += 1
        rounds.arrive(owner, receiver)
    return count


def names(turns: Iterable[Turn]) -> list[str]:
    return [turn.receiver for turn in turns]


def test_a_receiver_of_which_nothing_is_known_gets_one_until_it_took_something() -> None:
    rounds = Rounds(64, 4)
    rounds.arrive("a", "one")
    first = rounds.next()
    assert first is not None
    rounds.arrive("a", "one")
    assert rounds.next() is None
    rounds.end(first, True)
    assert full(rounds, "a", "one") == 4


def test_a_receiver_that_failed_gets_one_again() -> None:
    rounds = Rounds(64, 4)
    sounded(rounds, "a", "one")
    for _ in range(4):
        rounds.arrive("a", "one")
        turn = rounds.next()
        assert turn is not None
    rounds.end(turn, False)
    rounds.arrive("a", "one")
    assert rounds.next() is None


def test_a_turn_in_which_nothing_was_sent_says_nothing_of_the_receiver() -> None:
    rounds = Rounds(64, 4)
    sounded(rounds, "a", "one")
    rounds.arrive("a", "one")
    turn = rounds.next()
    assert turn is not None
    rounds.end(turn, None)
    assert full(rounds, "a", "one") == 4


def test_owners_take_turns_and_so_do_the_receivers_of_each() -> None:
    rounds = Rounds(3, 1)
    for receiver in ("a1", "a2", "a3"):
        sounded(rounds, "a", receiver)
    sounded(rounds, "b", "b1")
    for receiver in ("a1", "a2", "a3"):
        rounds.arrive("a", receiver)
    rounds.arrive("b", "b1")
    turns = taken(rounds)
    assert names(turns) == ["a1", "b1", "a2"]
    for turn in turns:
        rounds.end(turn, True)
        rounds.arrive(turn.owner, turn.receiver)
    assert sorted(names(taken(rounds))) == ["a1", "a3", "b1"]


def test_five_hundred_dead_receivers_leave_room_for_those_that_are_not() -> None:
    rounds = Rounds(64, 4)
    sounded(rounds, "b", "good")
    for number in range(500):
        rounds.arrive(f"a{number % 9}", f"dead{number}")
    assert len(taken(rounds)) == 48
    assert full(rounds, "b", "good") == 4


def test_one_owner_s_dead_receivers_leave_room_for_another_s_of_which_nothing_is_known() -> None:
    rounds = Rounds(64, 4)
    for number in range(500):
        rounds.arrive("a", f"dead{number}")
    assert len(taken(rounds)) == 32
    rounds.arrive("b", "new")
    assert names(taken(rounds)) == ["new"]


def test_one_place_is_enough() -> None:
    rounds = Rounds(1, 1)
    rounds.arrive("a", "one")
    rounds.arrive("b", "two")
    (first,) = taken(rounds)
    rounds.end(first, False)
    (second,) = taken(rounds)
    assert [first.receiver, second.receiver] == ["one", "two"]


def test_two_owners_share_a_receiver_in_turns() -> None:
    rounds = Rounds(8, 4)
    for owner in "ab":
        rounds.arrive(owner, "dead")
    served = []
    for _ in range(4):
        turn = rounds.next()
        assert turn is not None
        rounds.arrive(turn.owner, turn.receiver)
        assert rounds.next() is None
        served.append(turn.owner)
        rounds.end(turn, False)
    assert served == ["a", "b", "a", "b"]


@given(
    st.integers(1, 9),
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.sampled_from([True, False, None])), max_size=60),
)
def test_no_limit_is_broken_and_whoever_arrived_has_a_turn(
    places: int, each: int, steps: list[tuple[int, int, bool | None]]
) -> None:
    rounds, under_way, waiting = Rounds(places, each), [], set()
    last: dict[str, bool] = {}
    for owner, receiver, ending in steps:
        rounds.arrive(f"o{owner}", f"r{receiver}")
        waiting.add((f"o{owner}", f"r{receiver}"))
        while turn := rounds.next():
            waiting.remove((turn.owner, turn.receiver))
            under_way.append(turn)
            at = Counter(one.receiver for one in under_way)
            assert len(under_way) <= places
            assert at[turn.receiver] <= (each if last.get(turn.receiver) else 1)
        if under_way and receiver % 2:
            turn = under_way.pop(0)
            rounds.end(turn, ending)
            if ending is not None:
                last[turn.receiver] = ending
    while under_way or waiting:
        for turn in under_way:
            rounds.end(turn, None)
        under_way = taken(rounds)
        assert under_way or not waiting
        waiting -= {(turn.owner, turn.receiver) for turn in under_way}
