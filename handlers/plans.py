"""What may become of a job yet, and within which bounds: for those who ask why it is where it is."""

from typing import Any

from ..engine import retries
from ..engine.calls import CallPolicy
from ..engine.jobs import Job
from ..engine.targets import Target
from ..schemas.v1 import timestamp
from .gateway import Gateway


def plan(gateway: Gateway, job: Job) -> dict[str, Any]:
    """The job's lane and priority; its targets in order, with their lanes, and the index of the one that runs, ran or
    is next; the calls begun and left; and, where it is known, when it must have ended."""
    settings = gateway.config.jobs
    provider = gateway.providers.get(job.at.provider)
    policy = provider.policy if provider else CallPolicy()
    calls_left = max(settings.max_attempts - job.calls, 0)
    shown: dict[str, Any] = {
        "lane": job.lane,
        "priority": job.priority,
        "targets": [_target(gateway, job, target) for target in job.targets],
        "target": job.target,
        "calls": job.calls,
        "calls_left": 0 if job.state.ended else calls_left,
        # At the present target.
        "tries_left": 0 if job.state.ended else min(max(policy.retries + 1 - job.tries, 0), calls_left),
        "ttl_seconds": job.ttl_seconds,
    }
    if job.claimed_at is not None and not job.state.ended:
        shown["ends_by"] = timestamp(retries.deadline(job, settings, gateway.clock.now()))
    return shown


def _target(gateway: Gateway, job: Job, target: Target) -> dict[str, str]:
    """A provider that is gone has a lane of its own name."""
    provider = gateway.providers.get(target.provider)
    lane = provider.lane(job.operation, target.model) if provider else target.provider
    return {"provider": target.provider, "model": target.model, "lane": lane}
