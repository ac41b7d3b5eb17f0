"""What Prometheus calls a metric of grym: the translation of names, written once.

Source: ``normalizeName`` of github.com/prometheus/otlptranslator, which Prometheus 3 applies to
what its OTLP receiver takes where ``translation_strategy`` is ``UnderscoreEscapingWithSuffixes``.
Only the units that grym uses are here; another one is an error, to be looked up there.
"""

import re

from operators.metering import METRICS, Metric

STRATEGY = "UnderscoreEscapingWithSuffixes"
EVERYWHERE = frozenset({"job", "instance", "service_version"})
"""Labels of every series: service.name, service.instance.id, and what prometheus.yaml promotes."""
_UNITS = {"s": "seconds", "By": "bytes", "1": ""}
_ANNOTATION = re.compile(r"\{[^}]*\}")
_PARTS = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


def name_of(metric: Metric) -> str:
    """The name without the suffixes of a histogram's series.

    Raises:
        KeyError: a unit that is not known here.
    """
    words = [word for word in re.split(r"[^a-zA-Z0-9:]", metric.name) if word]
    unit = _ANNOTATION.sub("", metric.unit)
    suffix = _UNITS[unit] if unit else ""
    if suffix and suffix not in words:
        words.append(suffix)
    if metric.kind == "counter":
        words = [word for word in words if word != "total"] + ["total"]
    if metric.unit == "1" and metric.kind == "gauge":
        words = [word for word in words if word != "ratio"] + ["ratio"]
    return "_".join(words)


def label_of(attribute: str) -> str:
    """The label of an attribute."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", attribute)


def series_of(metric: Metric) -> dict[str, frozenset[str]]:
    """Every series of a metric, and the labels it has."""
    labels = EVERYWHERE | {label_of(name) for name in metric.labels}
    return {
        name_of(metric) + part: labels | {"le"} if part == "_bucket" else labels
        for part in _PARTS[metric.kind]
    }


SERIES = {name: metric for metric in METRICS for name in series_of(metric)}
"""Every series that grym can leave in Prometheus -> the metric it comes from."""
