"""The text of ``/metrics``: what ``metrics`` counts, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from .. import metrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Families(Collector):
    """All that is counted."""

    def collect(self) -> Iterable[Metric]:
        for kept in metrics.ALL:
            match kept:
                case metrics.Counts():
                    yield _counter(kept)
                case metrics.Histograms():
                    yield _histogram(kept)
                case metrics.Readings():
                    yield _gauge(kept)


def _counter(counts: metrics.Counts) -> Metric:
    family = CounterMetricFamily(counts.name, counts.about, labels=counts.labels)
    for labels, count in list(counts.by.items()):
        family.add_metric(labels, count)
    return family


def _histogram(histograms: metrics.Histograms) -> Metric:
    family = HistogramMetricFamily(histograms.name, histograms.about, labels=("method",))
    for method, values in list(histograms.of.items()):
        family.add_metric((method,), values.buckets(), values.sum)
    return family


def _gauge(readings: metrics.Readings) -> Metric:
    family = GaugeMetricFamily(readings.name, readings.about, labels=readings.labels)
    for label, read in list(readings.read.items()):
        for last, value in read().items():
            family.add_metric((label, last)[: len(readings.labels)], value)
    return family


_REGISTRY = CollectorRegistry()
_REGISTRY.register(_Families())
ProcessCollector(registry=_REGISTRY)  # process_…: the front process itself


def render() -> bytes:
    """The text that Prometheus reads."""
    return generate_latest(_REGISTRY)
