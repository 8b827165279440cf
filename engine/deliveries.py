"""Deliveries: what is to be told to a receiver, from the end of a job until it is delivered or given up."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

#: What a delivery can be: still to be sent, sent, or not tried any more.
DUE, DELIVERED, DEAD = "due", "delivered", "dead"

FIRST_DELAY_SECONDS = 5.0
MAX_DELAY_SECONDS = 21_600.0


class Delivery(NamedTuple):
    """One row of the delivery table; times are microseconds UTC."""

    #: Order of the ends; never given twice.
    seq: int
    #: The same for each attempt: by it a receiver knows a repeat.
    id: str
    job_id: str
    owner: str
    dialect: str
    #: An endpoint of the configuration, by its name; or None.
    endpoint: str | None
    #: The address that the client gave; None where it named an endpoint.
    url: str | None
    #: See `hooks.receiver_of`.
    receiver: str
    event: str
    state: str
    #: Over its whole life.
    attempts: int
    #: Since `due_since`.
    tries: int
    created_at: int
    #: The job's end, or the last replay.
    due_since: int
    #: The earliest next attempt.
    next_at: int
    #: The last attempt.
    tried_at: int | None
    ended_at: int | None
    #: What the receiver answered last; None: nothing.
    status_code: int | None
    #: Why the last attempt failed, or no more was made.
    error: str | None
    #: None where it was not read.
    payload: bytes | None = None


#: The columns of the table, for SELECT.
COLUMNS = ", ".join(f"delivery.{name}" for name in Delivery._fields[:-1])


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryFilter:
    """Which deliveries; None, and no states, do not narrow."""

    owner: str | None = None
    states: tuple[str, ...] = ()
    endpoint: str | None = None
    job_id: str | None = None
    #: Microseconds UTC, both exclusive.
    created_after: int | None = None
    created_before: int | None = None


class Verdict(NamedTuple):
    """What has become of a delivery whose turn it was."""

    seq: int
    state: str
    now: int
    #: When it is tried again, if it is still due.
    next_at: int
    #: False: nothing was sent.
    tried: bool = True
    status_code: int | None = None
    error: str | None = None


class Queue(NamedTuple):
    """The deliveries of one owner that are due at one receiver."""

    owner: str
    receiver: str
    #: The first and the last of their next attempts.
    first_at: int
    last_at: int


def backoff(tries: int, chance: Callable[[], float] = random.random) -> float:
    """Seconds before try number `tries + 1`: doubling from five seconds to six hours, or up to a quarter less."""
    doublings = min(max(tries - 1, 0), 16)
    return min(FIRST_DELAY_SECONDS * 2.0**doublings, MAX_DELAY_SECONDS) * (1 - chance() / 4)
