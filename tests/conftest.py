"""Fixtures of things that really run: brokers, models in folders, a sound server."""

pytest_plugins = (
    "tests.plugins.brokers",
    "tests.plugins.collector",
    "tests.plugins.folders",
    "tests.plugins.sound",
    "tests.plugins.telemetry",
)
