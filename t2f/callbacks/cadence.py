"""When a callback acts: every so many images seen, and at the end."""

from __future__ import annotations


class Cadence:
    """True once for each multiple of `every` that the clock has passed."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.done = 0

    def start(self, images_seen: int) -> None:
        """Count from here: what an earlier part of the run has passed is done."""
        self.done = images_seen // self.every

    def is_due(self, images_seen: int) -> bool:
        """Whether a multiple was passed since the last time that this was true."""
        due = images_seen // self.every > self.done
        self.done = images_seen // self.every
        return due
