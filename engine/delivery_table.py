"""The statements of deliveries, each for many at once; see `batches`.

A payload is in a row of its own: what an attempt changes of a delivery must not write the payload anew.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from aiosqlite import Connection

from .deliveries import COLUMNS, DEAD, DELIVERED, DUE, Delivery, DeliveryFilter, Queue, Verdict
from .hooks import Arrivals, notice, receiver_of
from .ids import new_id
from .jobs import JOB_COLUMNS, Hook, Job, Ticket

_PAYLOAD = "(SELECT payload FROM delivery_payload p WHERE p.seq = delivery.seq)"

#: From one owner and receiver to the next, through the index: what it costs does not depend on how many wait there.
_QUEUES = f"""
WITH RECURSIVE
    owners (owner) AS (
        SELECT MIN(owner) FROM delivery WHERE state = '{DUE}'
        UNION ALL
        SELECT (SELECT MIN(owner) FROM delivery WHERE state = '{DUE}' AND owner > owners.owner)
        FROM owners WHERE owner IS NOT NULL
    ),
    queues (owner, receiver) AS (
        SELECT owner, (SELECT MIN(receiver) FROM delivery d WHERE d.state = '{DUE}' AND d.owner = owners.owner)
        FROM owners WHERE owner IS NOT NULL
        UNION ALL
        SELECT owner, (
            SELECT MIN(receiver) FROM delivery d
            WHERE d.state = '{DUE}' AND d.owner = queues.owner AND d.receiver > queues.receiver
        )
        FROM queues WHERE receiver IS NOT NULL
    )
SELECT owner, receiver,
    (SELECT MIN(next_at) FROM delivery d WHERE d.state = '{DUE}' AND d.owner = q.owner AND d.receiver = q.receiver),
    (SELECT MAX(next_at) FROM delivery d WHERE d.state = '{DUE}' AND d.owner = q.owner AND d.receiver = q.receiver)
FROM queues q WHERE receiver IS NOT NULL
"""


class Next(NamedTuple):
    delivery: Delivery
    #: Why its endpoint is switched off; None: it is not, or it goes to no endpoint.
    off: str | None


class Replay(NamedTuple):
    filter: DeliveryFilter
    #: None: whatever their ids are.
    ids: Sequence[str] | None
    #: Those with a greater seq.
    after: int
    most: int
    now: int
    arrivals: Arrivals


async def write(db: Connection, seqs: Sequence[int], now: int, arrivals: Arrivals) -> None:
    """The deliveries of jobs that have ended in this transaction: of those of them that have a hook."""
    if not seqs:
        return
    rows = await db.execute_fetchall(
        f"SELECT hook.endpoint, hook.url, hook.parameters, body.result, body.original, {JOB_COLUMNS}"
        " FROM json_each(?) e CROSS JOIN hook ON hook.seq = e.value JOIN job ON job.seq = hook.seq"
        " LEFT JOIN body ON body.seq = job.seq",
        [orjson.dumps(list(seqs)).decode()],
    )
    deliveries, payloads = [], []
    for endpoint, url, parameters, result, original, *columns in rows:
        hook, ticket = Hook(endpoint, url, parameters), Ticket(Job.from_row(columns), result, original)
        made, job = notice(arrivals.announce, ticket, hook), ticket.job
        id, receiver = new_id(), receiver_of(hook)
        deliveries.append((id, job.id, job.owner, job.dialect, endpoint, url, receiver, made.event, now, now, now))
        payloads.append((made.payload, id))
        arrivals.queues.add((job.owner, receiver))
    await db.executemany(
        "INSERT INTO delivery (id, job_id, owner, dialect, endpoint, url, receiver, event, created_at, due_since,"
        " next_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        deliveries,
    )
    await db.executemany(
        "INSERT INTO delivery_payload (seq, payload) SELECT seq, ? FROM delivery WHERE id = ?", payloads
    )


async def hooks(db: Connection, items: Sequence[int]) -> Sequence[Hook | None]:
    """An item is the seq of a job."""
    rows = await db.execute_fetchall(
        "SELECT seq, endpoint, url, parameters FROM hook WHERE seq IN (SELECT value FROM json_each(?))",
        [orjson.dumps(list(items)).decode()],
    )
    found = {seq: Hook(*columns) for seq, *columns in rows}
    return [found.get(seq) for seq in items]


async def pages(db: Connection, items: Sequence[tuple[DeliveryFilter, int | None, int]]) -> Sequence[list[Delivery]]:
    """An item is `(filter, before, limit)`."""
    answers = []
    for filter, before, limit in items:
        where, values = _conditions(filter)
        if before is not None:
            where.append("seq < ?")
            values.append(before)
        rows = await db.execute_fetchall(
            f"SELECT {COLUMNS} FROM delivery WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?", [*values, limit]
        )
        answers.append([Delivery(*row) for row in rows])
    return answers


async def find(db: Connection, items: Sequence[tuple[str, str | None]]) -> Sequence[Delivery | None]:
    """An item is a delivery's id, and its owner or None for whoever owns it."""
    answers: list[Delivery | None] = []
    for id, owner in items:
        rows = await db.execute_fetchall(
            f"SELECT {COLUMNS}, {_PAYLOAD} FROM delivery WHERE id = ? AND owner = COALESCE(?, owner)", [id, owner]
        )
        answers.append(next((Delivery(*row) for row in rows), None))
    return answers


async def queues(db: Connection, items: Sequence[None]) -> Sequence[list[Queue]]:
    found = [Queue(*row) for row in await db.execute_fetchall(_QUEUES)]
    return [found] * len(items)


async def first(db: Connection, items: Sequence[tuple[str, str, int, Sequence[int]]]) -> Sequence[Next | None]:
    """The first of a queue; an item is `(owner, receiver, now, those that are not meant)`."""
    answers: list[Next | None] = []
    for owner, receiver, now, others in items:
        rows = await db.execute_fetchall(
            f"SELECT (SELECT reason FROM endpoint_off WHERE name = delivery.endpoint), {COLUMNS},"
            f" CASE WHEN next_at <= ? THEN {_PAYLOAD} END FROM delivery"
            f" WHERE state = '{DUE}' AND owner = ? AND receiver = ? AND seq NOT IN (SELECT value FROM json_each(?))"
            " ORDER BY next_at LIMIT 1",
            [now, owner, receiver, orjson.dumps(list(others)).decode()],
        )
        answers.append(next((Next(Delivery(*columns), off) for off, *columns in rows), None))
    return answers


async def settle(db: Connection, items: Sequence[Verdict]) -> Sequence[None]:
    """due → delivered | dead, or due later; a neighbour's fate may have made it dead before it was delivered."""
    # Named, not numbered: Python 3.12 warns of numbers.
    await db.executemany(
        "UPDATE delivery SET state = :state, attempts = attempts + :tried, tries = tries + :tried, next_at = :next_at,"
        " tried_at = CASE WHEN :tried THEN :now ELSE tried_at END, status_code = :status_code, error = :error,"
        f" ended_at = CASE WHEN :state <> '{DUE}' THEN :now END"
        f" WHERE seq = :seq AND (state = '{DUE}' OR (state = '{DEAD}' AND :state = '{DELIVERED}'))",
        [item._asdict() for item in items],
    )
    # Of a job that was deleted meanwhile, this was the last use of it.
    await db.executemany(
        "DELETE FROM delivery_payload WHERE seq IN (SELECT seq FROM delivery WHERE seq = ?"
        " AND NOT EXISTS (SELECT 1 FROM job WHERE job.id = delivery.job_id))",
        [(item.seq,) for item in items if item.state == DELIVERED],
    )
    return [None] * len(items)


async def drop(db: Connection, jobs: Sequence[str]) -> None:
    """Removes what was delivered of jobs, by their ids, that their owners have deleted; what is still due, or dead, is
    all that is left of them."""
    await db.execute(
        "DELETE FROM delivery_payload WHERE seq IN (SELECT delivery.seq FROM json_each(?) e CROSS JOIN delivery"
        f" ON delivery.job_id = e.value WHERE delivery.state = '{DELIVERED}')",
        [orjson.dumps(jobs).decode()],
    )


async def give_up(db: Connection, items: Sequence[tuple[Delivery, str, int]]) -> Sequence[int]:
    """due → dead, for what goes where a delivery goes; an item is `(delivery, reason, now)`."""
    answers = []
    for delivery, reason, now in items:
        if delivery.endpoint is not None:
            await db.execute(
                "INSERT INTO endpoint_off (name, since, reason) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
                [delivery.endpoint, now, reason],
            )
            same = "endpoint = :endpoint"
        else:
            same = "owner = :owner AND receiver = :receiver AND url = :url"
        ended = await db.execute(
            f"UPDATE delivery SET state = '{DEAD}', ended_at = :now, error = :reason WHERE state = '{DUE}' AND {same}",
            {"now": now, "reason": reason, **delivery._asdict()},
        )
        answers.append(ended.rowcount)
    return answers


async def hasten(db: Connection, items: Sequence[tuple[int, int]]) -> Sequence[None]:
    """What is due later than a moment is due now; an item is `(moment, now)`."""
    moment, now = min(items)
    await db.execute(f"UPDATE delivery SET next_at = ? WHERE state = '{DUE}' AND next_at > ?", [now, moment])
    return [None] * len(items)


async def replay(db: Connection, items: Sequence[Replay]) -> Sequence[list[int]]:
    """Due now, whatever they were; the seqs of those that are, in their order."""
    answers = []
    for item in items:
        where, values = _conditions(item.filter)
        where.append("EXISTS (SELECT 1 FROM delivery_payload p WHERE p.seq = delivery.seq)")
        if item.ids is not None:
            where.append("id IN (SELECT value FROM json_each(?))")
            values.append(orjson.dumps(list(item.ids)).decode())
        rows = await db.execute_fetchall(
            f"UPDATE delivery SET state = '{DUE}', ended_at = NULL, tries = 0, due_since = ?, next_at = ? WHERE seq IN"
            f" (SELECT seq FROM delivery WHERE seq > ? AND {' AND '.join(where)} ORDER BY seq LIMIT ?)"
            " RETURNING seq, owner, receiver",
            [item.now, item.now, item.after, *values, item.most],
        )
        found = sorted(map(tuple, rows))
        item.arrivals.queues.update((owner, receiver) for _, owner, receiver in found)
        answers.append([seq for seq, _, _ in found])
    return answers


async def forget(db: Connection, items: Sequence[tuple[int, int]]) -> Sequence[int]:
    """Removes deliveries that ended by a moment; an item is `(moment, most)`. Answers how many."""
    answers = []
    for moment, most in items:
        gone = await db.execute(
            "DELETE FROM delivery WHERE seq IN"
            " (SELECT seq FROM delivery WHERE ended_at <= ? ORDER BY ended_at LIMIT ?)",
            [moment, most],
        )
        answers.append(gone.rowcount)
    return answers


def _conditions(filter: DeliveryFilter) -> tuple[list[str], list[Any]]:
    """The states are in the text, since only so a partial index is found."""
    where, values = ["1"], []
    if filter.states:
        known = [state for state in (DUE, DELIVERED, DEAD) if state in filter.states]
        where.append(" OR ".join(f"state = '{state}'" for state in known).join("()") if known else "0")
    for condition, value in (
        ("owner = ?", filter.owner),
        ("endpoint = ?", filter.endpoint),
        ("job_id = ?", filter.job_id),
        ("created_at > ?", filter.created_after),
        ("created_at < ?", filter.created_before),
    ):
        if value is not None:
            where.append(condition)
            values.append(value)
    return where, values
