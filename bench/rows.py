"""The rows of the benchmark: what is budgeted, and what it takes to meet it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Row:
    #: In the history and in docs/performance.md.
    name: str
    title: str
    budget: float
    aim: float
    #: Whether the budget is a ceiling.
    less_is_better: bool = False
    #: Of what is not a ratio.
    unit: str = ""

    def verdict(self, value: float) -> str:
        if self._reaches(value, self.aim):
            return "aim met"
        return "met" if self._reaches(value, self.budget) else "missed"

    def _reaches(self, value: float, mark: float) -> bool:
        return value <= mark if self.less_is_better else value >= mark

    def show(self, value: float | None) -> str:
        """The value as the table has it."""
        if value is None:
            return "-"
        text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
        return f"{text} {self.unit}".rstrip()


@dataclass(kw_only=True)
class Measured:
    """What one measurement brought."""

    #: By the row's name.
    values: dict[str, float] = field(default_factory=dict)
    #: Absolute figures, which mean something on this machine alone.
    figures: dict[str, float] = field(default_factory=dict)


SUBMIT = Row(name="submit", title="accepted submits/s ÷ bare POST/s", budget=0.22, aim=0.35)
POLL = Row(name="poll", title="polls/s ÷ bare GET/s", budget=0.50, aim=0.70)
DONE = Row(name="done", title="submit → done jobs/s, echo ÷ bare POST/s", budget=0.10, aim=0.18)
CONDITIONAL = Row(name="conditional", title="polls/s answered 304 ÷ bare GET/s", budget=0.50, aim=0.70)
IDEMPOTENT = Row(name="idempotent", title="submits/s with an Idempotency-Key ÷ without", budget=0.60, aim=0.80)
JWT = Row(name="jwt", title="polls/s with a JWT ÷ with a virtual key", budget=0.90, aim=0.95)
MILLION_SUBMIT = Row(name="million_submit", title="submits/s with 1,000,000 rows ÷ with none", budget=0.80, aim=0.90)
MILLION_POLL = Row(name="million_poll", title="polls/s with 1,000,000 rows ÷ with none", budget=0.80, aim=0.90)
SWEEP_SUBMIT = Row(
    name="sweep_submit", title="p99 of submits during a sweep ÷ without", budget=2, aim=1.3, less_is_better=True
)
SWEEP_POLL = Row(
    name="sweep_poll", title="p99 of polls during a sweep ÷ without", budget=2, aim=1.3, less_is_better=True
)
HELD = Row(name="held", title="jobs held in flight by one process", budget=10_000, aim=20_000)
HELD_MEMORY = Row(
    name="held_memory", title="memory a held job, beyond the client's own", budget=15, aim=10, less_is_better=True,
    unit="kB",
)  # fmt: skip
HELD_TWICE = Row(name="held_twice", title="the same, twice as many", budget=10_000, aim=20_000)
HELD_TWICE_MEMORY = Row(
    name="held_twice_memory", title="memory a job of these", budget=15, aim=10, less_is_better=True, unit="kB"
)
PENDING_START = Row(
    name="pending_start", title="start with 100,000 pending, to the first claim", budget=2, aim=0.5,
    less_is_better=True, unit="s",
)  # fmt: skip
START = Row(name="start", title="start, to the first answer", budget=1.5, aim=0.7, less_is_better=True, unit="s")
WAITERS_MEMORY = Row(
    name="waiters_memory", title="memory a client that waits, beyond a bare handler's", budget=10, aim=5,
    less_is_better=True, unit="kB",
)  # fmt: skip
WAITERS_LAG = Row(
    name="waiters_lag", title="p99 of /healthz while 5,000 clients wait", budget=20, aim=10, less_is_better=True,
    unit="ms",
)  # fmt: skip
WAITERS_WOKEN = Row(
    name="waiters_woken", title="from a job's end to its waiter's answer, p99, 5,000 at once", budget=2, aim=1,
    less_is_better=True, unit="s",
)  # fmt: skip
UPLOADS_MEMORY = Row(
    name="uploads_memory", title="memory of 20 uploads of 100 MB at once", budget=100, aim=50, less_is_better=True,
    unit="MB",
)  # fmt: skip
STREAMS_MEMORY = Row(
    name="streams_memory", title="memory an event stream, beyond a bare handler's", budget=15, aim=10,
    less_is_better=True, unit="kB",
)  # fmt: skip
STREAMS_LAG = Row(
    name="streams_lag", title="p99 of /healthz while 1,000 streams bring tokens", budget=100, aim=50,
    less_is_better=True, unit="ms",
)  # fmt: skip
STREAMS_LATE = Row(
    name="streams_late", title="from the upstream's token to the client, p99", budget=250, aim=100,
    less_is_better=True, unit="ms",
)  # fmt: skip
