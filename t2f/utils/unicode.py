"""Repair of malformed Unicode text."""

from __future__ import annotations


def well_formed(text: str) -> str:
    """Replace each lone surrogate by U+FFFD, because surrogates cannot be encoded.

    They occur in JSON that was cut within an emoji, and in arguments and file names that are not UTF-8.

    >>> ascii(well_formed("a \\ud83d face"))
    "'a \\\\ufffd face'"
    """
    return text.encode("utf-16-le", errors="surrogatepass").decode("utf-16-le", errors="replace")
