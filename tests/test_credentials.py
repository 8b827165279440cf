"""Which key is used, and which rest."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from coatcheck.providers.credentials import MAX_REFUSED_SECONDS, Credential, Credentials


class Watch:
    """A boot clock in the hands of a test."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def keys(*weights: float, chance: float = 0.0) -> tuple[Credentials, list[Credential], Watch]:
    made, watch = [Credential(value=f"key-{i}", weight=weight) for i, weight in enumerate(weights)], Watch()
    return Credentials(made, now=watch, chance=lambda: chance), made, watch


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=6), st.floats(0, 1, exclude_max=True))
def test_each_turn_offers_every_key_once(weights: list[float], chance: float) -> None:
    credentials, made, _ = keys(*weights, chance=chance)
    turn = list(credentials.turn())
    assert sorted(each.value for each in turn) == sorted(each.value for each in made)


def test_keys_are_chosen_by_their_weights() -> None:
    made = [Credential(value="a", weight=3), Credential(value="b"), Credential(value="c", weight=0.5)]
    points = iter(i / 9000 for i in range(9000))
    credentials = Credentials(made, chance=lambda: next(points))
    firsts = Counter(next(credentials.turn()).value for _ in range(9000))
    assert firsts == {"a": 6000, "b": 2000, "c": 1000}


def test_a_limited_key_rests_as_long_as_the_vendor_says_or_for_half_a_minute() -> None:
    for said, seconds in ((7.0, 7.0), (None, 30.0)):
        credentials, (first, second), watch = keys(1, 1)
        assert credentials.failed(first, 429, said)
        assert list(credentials.turn()) == [second]
        watch.seconds += seconds - 0.1
        assert list(credentials.turn()) == [second]
        watch.seconds += 0.1
        assert list(credentials.turn()) == [first, second]


def test_a_refused_key_rests_longer_each_time_and_not_for_ever() -> None:
    credentials, (first, second), watch = keys(1, 1)
    rests = []
    for _ in range(6):
        assert credentials.failed(first, 401)
        rests.append(first.until - watch.seconds)
        assert list(credentials.turn()) == [second]
        watch.seconds = first.until
        assert list(credentials.turn()) == [first, second]
    assert rests == [300, 600, 1200, 2400, MAX_REFUSED_SECONDS, MAX_REFUSED_SECONDS]
    credentials.worked(first)
    credentials.failed(first, 403)
    assert first.until - watch.seconds == 300


def test_what_does_not_speak_of_the_key_lets_it_be() -> None:
    credentials, (only,), _ = keys(1)
    for status in (400, 404, 408, 500, 503, 529):
        assert not credentials.failed(only, status)
    assert list(credentials.turn()) == [only]


def test_of_keys_that_all_rest_one_is_tried() -> None:
    credentials, (refused, limited, longer), watch = keys(1, 1, 1)
    credentials.failed(refused, 401)
    credentials.failed(limited, 429, 400)
    credentials.failed(longer, 429, 500)
    # It was refused for a shorter time, but a limit ends by itself.
    assert list(credentials.turn()) == [limited]
    watch.seconds += 300
    assert list(credentials.turn()) == [refused]


def test_a_key_is_for_the_models_it_names() -> None:
    general, special = Credential(value="a"), Credential(value="b", models=("big",))
    credentials = Credentials([general, special], chance=lambda: 0.0)
    assert list(credentials.turn("small")) == [general]
    assert list(credentials.turn("big")) == [general, special]
    assert list(credentials.turn()) == [general, special]
    only = Credentials([special])
    assert not only.serve("small")
    assert list(only.turn("small")) == []


def test_the_soonest_key_is_the_one_to_wait_for() -> None:
    credentials, (first, second), watch = keys(1, 1)
    credentials.failed(first, 429, 20)
    credentials.failed(second, 429, 60)
    assert credentials.soonest() == 20
    watch.seconds += 50
    assert credentials.soonest() == 0
    # There is nothing to choose between with a single one, and a refusal is not waited for.
    assert keys(1)[0].soonest() is None
    credentials.failed(first, 401)
    assert credentials.soonest() == 10
