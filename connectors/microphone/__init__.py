"""Microphones: devices by name, captured by PortAudio, watched and taken back by one supervisor.

Importing this loads no driver: a missing PortAudio troubles only who opens a microphone.
"""

from connectors.microphone.microphone import Microphone
from connectors.microphone.options import MicOptions
from connectors.microphone.target import derived_name

__all__ = ["MicOptions", "Microphone", "derived_name"]
