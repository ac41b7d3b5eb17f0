"""Logs on stderr: a line an event, for people or as JSON, with the trace that it belongs to.

``set_up`` and ``tear_down`` are called by the command line. Everything logs through the standard
library; what a run finds out (failures, breakers, sources) is logged by ``Logged``, where no screen
shows it.
"""

from connectors.logs.events import Logged, View
from connectors.logs.handler import LogForm, set_up, tear_down

__all__ = ["LogForm", "Logged", "View", "set_up", "tear_down"]
