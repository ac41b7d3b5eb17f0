"""The live view: findings as lines that stay, and below them how the run is doing.

``view`` owns the screen, ``tail`` makes lines of records, ``spells`` counts what is not shown,
``frame`` lays out figures (``inputs`` and ``figures`` are its parts), ``glyphs`` and ``moments``
know the terminal's characters and the time of day; ``aside`` and ``typed`` keep what others write
or type from tearing the frame. Invariant: records and figures become text in pure code; only
``view``, ``aside`` and ``typed`` touch the terminal.
"""
