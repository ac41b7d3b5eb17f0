"""The slow lane of a run: what describes patterns in words, and keeps an example to hear.

Invariant: where speech is not to be kept, no clip is kept or described that may hold it.
"""

import time
from datetime import timedelta
from pathlib import Path

from connectors.clips import FOLDER, Clips
from flows.errors import GrymError
from flows.settings import Settings
from flows.station import limits_of
from operators.describing import DescribeConfig, Describing
from operators.models.protocol import AudioLanguageModel
from operators.remarks import Voice


def slow_lane(
    settings: Settings, model: AudioLanguageModel | None, voice: Voice | None, folder: Path
) -> Describing | None:
    """The lane, or None where nothing is to be described or kept.

    Args:
        settings: of this run.
        model: what describes; None where clips are kept only.
        voice: what tells speech; None where it does not matter.
        folder: of the store, beside which clips are kept.

    Raises:
        GrymError: clips cannot be kept there.
    """
    if model is None and not settings.clips.keep:
        return None
    told = settings.describe
    clips = _clips(settings, folder / FOLDER) if settings.clips.keep else None
    private = settings.listen.speech == "drop-audio" and voice is not None
    return Describing(
        model,
        DescribeConfig(
            every_s=timedelta(minutes=told.every_min).total_seconds(),
            queue=told.queue,
            keep_s=told.keep_s,
            deadline_s=told.deadline_s,
            drain_s=told.drain_s,
            breaker=limits_of(settings).breaker,
        ),
        utc=time.time,
        clock=time.monotonic,
        keep=clips.keep if clips else None,
        is_speech=voice.is_speech if private and voice else None,
    )


def _clips(settings: Settings, folder: Path) -> Clips:
    try:
        return Clips(folder, settings.clips.max_mb << 20)
    except OSError as error:
        raise GrymError(
            f"clips cannot be kept in {folder}: {error.strerror}; make it writable, or set "
            "clips.keep to false"
        ) from None
