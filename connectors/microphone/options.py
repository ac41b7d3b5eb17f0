"""How microphones are captured, beside what every source is told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MicOptions:
    """How a microphone is opened, watched and taken back.

    Attributes:
        rate_hz: sample rate to capture at; 0 takes the device's own default.
        buffer_s: audio held for a flow that is busy; beyond it the oldest is dropped and counted.
        silence_s: a device that delivers nothing for so long counts as lost.
        first_s: how long an opened device may take to its first audio (a sound server: up to 2 s).
        retry_s: pause before a lost device is first looked for; it doubles each time ...
        retry_most_s: ... up to this.
    """

    rate_hz: int = 0
    buffer_s: float = 10.0
    silence_s: float = 1.0
    first_s: float = 5.0
    retry_s: float = 0.5
    retry_most_s: float = 5.0
