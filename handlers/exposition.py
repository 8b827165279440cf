"""What Prometheus is shown: the meters, and what can be read of the parts at that moment.

Imported at the first scrape: its library takes long to import, and not every server is scraped.
"""

import platform
import sqlite3
import time
from collections.abc import Iterator, Mapping

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from ..engine.jobs import SECOND
from ..engine.meters import Counter, Gauge, Histogram
from ..engine.survey import Survey
from .gateway import Gateway
from .version import version

#: Seconds that a look at the database counts.
_REUSE_SECONDS = 5.0


class Exposition(Collector):
    """In a registry of its own: two gateways in one process must not mix."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self._survey: Survey | None = None
        self._surveyed_at = 0.0
        self._build = (version(), platform.python_version(), sqlite3.sqlite_version)

    async def render(self, accept: str) -> tuple[bytes, str]:
        """The metrics as text in the best format that the Accept header allows, with its media type."""
        if self._survey is None or time.monotonic() - self._surveyed_at > _REUSE_SECONDS:
            self._survey = await self._gateway.store.survey(tuple(self._gateway.pool.lanes))
            self._surveyed_at = time.monotonic()
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):
            # A version that is none.
            encode, content_type = choose_encoder("")
        return encode(self._registry), content_type

    def describe(self) -> Iterator[Metric]:
        """Nothing: the registry would collect to know the names, before there is anything to collect."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        for meter in self._gateway.store.meters:
            yield _histogram(meter) if isinstance(meter, Histogram) else _numbers(meter)
        yield from self._lanes()
        yield from self._database()
        gateway, watchers = self._gateway, self._gateway.pool.watchers
        yield _gauge("coatcheck_waiting_clients", "Clients that wait for a job's end.", watchers.waiting)
        yield _gauge("coatcheck_event_streams", "Clients that watch a job.", watchers.watching)
        yield _gauge(
            "coatcheck_loop_lag_worst_seconds",
            "The latest that the event loop woke a task in the last minute.",
            gateway.lag.worst,
        )
        build = GaugeMetricFamily(
            "coatcheck_build_info", "What runs; always 1.", labels=("version", "python", "sqlite")
        )
        build.add_metric(self._build, 1)
        yield build

    def _lanes(self) -> Iterator[Metric]:
        lanes, now = self._gateway.pool.lanes, self._gateway.clock.now()
        oldest = self._survey.oldest if self._survey else {}
        for name, about, values in (
            ("waiting_jobs", "Jobs that are ready for a slot.", {n: lane.waiting for n, lane in lanes.items()}),
            ("running_jobs", "Jobs in a slot.", {n: lane.running for n, lane in lanes.items()}),
            ("slots", "How many jobs may run at once.", {n: lane.concurrency for n, lane in lanes.items()}),
            (
                "oldest_ready_seconds",
                "Since the submit of the oldest job that is ready for a slot; 0: there is none.",
                {n: max(now - oldest[n], 0) / SECOND if n in oldest else 0 for n in lanes},
            ),
        ):
            yield _by_lane(f"coatcheck_lane_{name}", about, values)

    def _database(self) -> Iterator[Metric]:
        if self._survey is not None:
            yield _gauge("coatcheck_jobs_held", "Jobs that wait for a later moment.", self._survey.held)
            yield _gauge("coatcheck_deliveries_due", "Deliveries that are still to be sent.", self._survey.due)
            yield _gauge("coatcheck_database_bytes", "The database file.", self._survey.file_bytes)
            yield _gauge("coatcheck_database_wal_bytes", "The log of changes beside it.", self._survey.wal_bytes)
        yield _gauge("coatcheck_blob_bytes", "Files of requests and results.", self._gateway.store.blobs.size_bytes)


def _numbers(meter: Counter) -> Metric:
    family = GaugeMetricFamily if isinstance(meter, Gauge) else CounterMetricFamily
    metric = family(meter.name, meter.about, labels=meter.labels)
    for labels, value in meter.values.items():
        metric.add_metric(labels, value)
    return metric


def _histogram(meter: Histogram) -> Metric:
    metric = HistogramMetricFamily(meter.name, meter.about, labels=meter.labels)
    for labels, (*counts, total) in meter.values.items():
        so_far, buckets = 0.0, []
        for bound, count in zip((*map(str, map(float, meter.bounds)), "+Inf"), counts, strict=True):
            so_far += count
            buckets.append((bound, so_far))
        metric.add_metric(labels, buckets, total)
    return metric


def _by_lane(name: str, about: str, values: Mapping[str, float]) -> Metric:
    metric = GaugeMetricFamily(name, about, labels=("lane",))
    for lane, value in values.items():
        metric.add_metric((lane,), value)
    return metric


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=value)
