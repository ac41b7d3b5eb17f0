"""Wiring: which source feeds which operator feeds which sink, and the command line."""
