"""What a watcher is told of a call: in steps, and without losing any text between them."""

from typing import Any

from coatcheck.providers.workers.task import Task


def test_text_between_two_steps_comes_with_the_next() -> None:
    times = iter((0.0, 0.04, 0.08, 0.12, 0.16))
    told: list[Any] = []
    task = Task(lambda *step: told.append(step), clock=lambda: next(times))
    for number, text in enumerate(("a", "b", "", "c", "d")):
        task.progress(number, 9, "tokens", text)
    assert told == [(0, 9, "tokens", "a"), (3, 9, "tokens", "bc")]
