"""Texts that every library takes."""

from __future__ import annotations


def well_formed(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which no encoding can write.

    They come from JSON that was cut within an emoji, and from command line arguments and file names that are not UTF-8.

    >>> ascii(well_formed("a \\ud83d face"))
    "'a \\\\ufffd face'"
    """
    return text.encode("utf-16-le", errors="surrogatepass").decode("utf-16-le", errors="replace")
