"""What Prometheus reads."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

registry = CollectorRegistry()
requests = Histogram("advisor_request_seconds", "Time to answer", ["method", "route", "status"], registry=registry)
comparisons = Gauge("advisor_comparisons", "Comparisons by state", ["state"], registry=registry)
workers = Gauge("advisor_workers", "Workers alive", registry=registry)


def text(counts: dict[str, int], alive: int) -> bytes:
    """All figures, with those of the database as they are now."""
    for state, count in counts.items():
        comparisons.labels(state).set(count)
    workers.set(alive)
    return generate_latest(registry)
