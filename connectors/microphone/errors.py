"""What keeps a microphone from being heard, in words for a person."""


class SoundError(Exception):
    """The sound system, a device or one of its channels cannot be used.

    Attributes:
        reason: a short stable word.
        detail: one line: the thing and the value.
        remedy: one line: what to do.
    """

    def __init__(self, reason: str, detail: str, remedy: str) -> None:
        super().__init__(f"{detail}; {remedy}")
        self.reason = reason
        self.detail = detail
        self.remedy = remedy
