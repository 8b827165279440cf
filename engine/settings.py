"""What an operator may say of the engine: in the `[store]`, `[jobs]` and `[webhooks]` tables of the configuration."""

from dataclasses import dataclass, field
from enum import StrEnum

from .calls import OnInterrupt

#: Later times have no date that every client can read.
_CENTURY_SECONDS = 3_153_600_000


class Durability(StrEnum):
    FULL = "full"
    NORMAL = "normal"


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    #: Where jobs are kept.
    url: str = "sqlite:///coatcheck.db"
    #: The folder of files that clients send and providers make.
    blobs: str = "blobs/"
    #: "full" syncs every commit; "normal" may lose the last moments before a power cut.
    durability: Durability = Durability.FULL


@dataclass(frozen=True, kw_only=True)
class DeliverySettings:
    #: For one delivery.
    timeout_seconds: float = field(default=30.0, metadata={"min": 0.1, "max": 600})
    #: How long a delivery is tried again, before it is a dead letter.
    retry_seconds: float = field(default=259_200.0, metadata={"min": 0, "max": _CENTURY_SECONDS})
    #: How long deliveries that have ended are kept, payloads and all.
    keep_seconds: int = field(default=604_800, metadata={"min": 1, "max": _CENTURY_SECONDS})
    #: Deliveries under way at once: in all, and to one receiver.
    concurrency: int = field(default=64, metadata={"min": 1})
    receiver_concurrency: int = field(default=4, metadata={"min": 1})


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    #: Seconds that an outcome is kept after its job's end, where the submit did not say.
    result_ttl_seconds: int = field(default=3600, metadata={"min": 1, "max": _CENTURY_SECONDS})
    #: The same, for jobs of the v3 dialect.
    v3_result_ttl_seconds: int = field(default=604_800, metadata={"min": 1, "max": _CENTURY_SECONDS})
    #: No outcome is kept longer, whatever its submit said.
    max_result_ttl_seconds: int = field(default=2_592_000, metadata={"min": 1, "max": _CENTURY_SECONDS})
    #: The same, for jobs whose clients waited for them on an open connection.
    sync_result_ttl_seconds: int = field(default=60, metadata={"min": 1, "max": _CENTURY_SECONDS})
    #: How often expired jobs are removed.
    sweep_interval_seconds: float = field(default=60.0, metadata={"min": 0.01})
    #: Jobs that may wait, over all owners; more are refused with 429.
    max_pending: int = field(default=1_000_000, metadata={"min": 1})
    #: Jobs of one owner that may wait.
    max_pending_per_owner: int = field(default=100_000, metadata={"min": 1})
    #: Upstream calls of one job, over all of its providers.
    max_attempts: int = field(default=10, metadata={"min": 1})
    #: What becomes of a call whose outcome is unknown after a lost connection, a kill or a shutdown.
    on_interrupt: OnInterrupt = OnInterrupt.RETRY
    #: From a job's first call to its outcome.
    timeout_seconds: float = field(default=86_400.0, metadata={"min": 0.001})
    #: A larger result fails the job.
    max_result_bytes: int = field(default=67_108_864, metadata={"min": 1024})
    #: Whether requests are kept until their job is gone, or only until its end.
    keep_requests: bool = True
    #: How long a stop waits for running jobs.
    shutdown_grace_seconds: float = field(default=30.0, metadata={"min": 0})
