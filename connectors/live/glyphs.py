"""The characters a terminal can show, and text from outside made fit for it.

Invariant: what ``plain`` returns is one line that moves no cursor and that the terminal's encoding
can write, so that its width is known.
"""

import codecs
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

METER_CELLS = 8
QUIETEST_DB = -60.0


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Characters to draw with.

    Attributes:
        encoding: what text has to fit.
        steps: of a cell of a meter, the emptiest first.
        rule: of a line across.
        ellipsis: where something was cut off.
    """

    encoding: str
    steps: str
    rule: str
    ellipsis: str

    def plain(self, text: str) -> str:
        """Text without control characters; what cannot be written becomes an escape."""
        shown = "".join(each if each.isprintable() else " " for each in text)
        return shown.encode(self.encoding, "backslashreplace").decode(self.encoding)

    def fit(self, text: str, width: int) -> str:
        """Text as it is, or its beginning, in at most ``width`` cells."""
        if cell_len(text) <= width:
            return text
        end = self.ellipsis[:width]
        return set_cell_size(text, width - len(end)).rstrip() + end

    def padded(self, text: str, width: int) -> str:
        """Text in exactly ``width`` cells."""
        return set_cell_size(self.fit(text, width), width)

    def meter(self, level_db: float) -> str:
        """A level as a bar of ``METER_CELLS``, from -60 to 0 dBFS."""
        most = len(self.steps) - 1
        share = min(max(1.0 - level_db / QUIETEST_DB, 0.0), 1.0)
        filled = round(share * METER_CELLS * most)
        cells = (min(max(filled - cell * most, 0), most) for cell in range(METER_CELLS))
        return "".join(self.steps[cell] for cell in cells)


def glyphs_of(encoding: str) -> Glyphs:
    """What a terminal of this encoding can show; ASCII where it is not known."""
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        name = "ascii"
    if name.startswith("utf"):
        return Glyphs(name, " ▏▎▍▌▋▊▉█", "─", "…")
    return Glyphs(name, ".#", "-", "..")
