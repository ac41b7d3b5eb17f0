"""Fixtures of things that really run: brokers, a sound server."""

pytest_plugins = ("tests.plugins.brokers", "tests.plugins.sound")
