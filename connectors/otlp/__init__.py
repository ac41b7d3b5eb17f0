"""Telemetry out of this process: which spans are kept, where spans and metrics go, and the end.

``plan`` reads what was asked for, in grym's own terms and in OpenTelemetry's variables; ``start``
sets the SDK up by it and gives back what ends it. Nothing of the SDK is loaded where nothing was
asked for.
"""

from connectors.otlp.plan import Plan, TelemetryError, plan_of
from connectors.otlp.posting import Post, posts
from connectors.otlp.running import Running, start

__all__ = ["Plan", "Post", "Running", "TelemetryError", "plan_of", "posts", "start"]
