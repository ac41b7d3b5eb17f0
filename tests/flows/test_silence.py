"""Silence carries no vector, from the file to the store.

The default model hears levels relative to the loudest of its window: it would amplify the noise of
a converter to full scale and find it again everywhere. So the gate, not the model, is what keeps
silence out: windows below -70 dBFS reach no model, and nothing of them is stored but the count.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from connectors.milvus.reader import Reader
from operators.records import ANALYSIS_RATE_HZ
from tests.flows.conftest import Ran

SILENT_S = 12
SECONDS = 24


@pytest.fixture
def half_silent(tmp_path: Path) -> Path:
    """Nothing at all, then noise at -85 dBFS, then bursts of noise every second over a murmur."""
    rng = np.random.default_rng(7)
    samples = 10 ** (-85 / 20) * rng.standard_normal(SECONDS * ANALYSIS_RATE_HZ)
    samples[: SILENT_S // 2 * ANALYSIS_RATE_HZ] = 0.0
    loud = samples[SILENT_S * ANALYSIS_RATE_HZ :]
    loud += 1e-3 * rng.standard_normal(len(loud))
    time_s = np.mod(np.arange(len(loud)) / ANALYSIS_RATE_HZ, 1.0)
    loud += 0.3 * rng.standard_normal(len(loud)) * np.exp(-20 * time_s) * (time_s < 0.4)
    path = tmp_path / "half.wav"
    soundfile.write(path, samples.clip(-1, 1), ANALYSIS_RATE_HZ, subtype="FLOAT")
    return path


def test_silent_windows_are_counted_and_carry_no_vector(
    grym: Callable[..., Ran], half_silent: Path, tmp_path: Path
) -> None:
    store = tmp_path / "a.db"
    ran = grym("listen", half_silent, "--store", store, "--json")
    assert ran.status == 0, ran.err
    summary = ran.summary
    assert summary["silent"] >= 2 * SILENT_S - 2
    assert 0 < summary["stored"] <= 3 * (SECONDS - SILENT_S)
    reader = Reader(str(store))
    try:
        (space,) = reader.dimensions()
        collection = f"windows_{space.replace('-', '_')}"
        rows = list(reader.rows(collection, "", ["start_s", "duration_s", "rms_db"]))
    finally:
        reader.close()
    assert len(rows) == summary["stored"]
    assert min(row["start_s"] + row["duration_s"] for row in rows) > SILENT_S
    assert min(row["rms_db"] for row in rows) > -70
