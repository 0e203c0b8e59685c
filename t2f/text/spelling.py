"""Words as people spell them: inflected, run together, or with a letter too many, too few or out of place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from t2f.text.synonyms import LOOKS

PEOPLE = "man|woman|men|women|boy|girl|boys|girls|lady|guy"
SHORTEST = 5  # letters of a word with a letter more than it should have; of one in which a letter is wrong, two more


def forms(word: str) -> Iterator[str]:
    """A word, its singular or plain form, and the parts of one such as "redhaired"."""
    yield word
    if compound := re.fullmatch(r"(\w{3,})(haired|skinned|shaven|headed|hair)", word):
        yield " ".join(compound.groups())
        yield f"{compound[1]} {compound[2].removesuffix('ed').replace('skinn', 'skin')}"
    if someone := re.fullmatch(rf"(?!w[oi]|hu)\w{{3,}}?({PEOPLE})", word):
        yield someone[1]
    if lack := re.fullmatch(r"(\w{3,})less", word):
        yield f"no {lack[1]}"
        yield f"without {lack[1]}"
    if len(word) > 3 and word.endswith("s"):
        if word.endswith("ies"):
            yield f"{word[:-3]}y"
        yield word.removesuffix("s")
        yield word.removesuffix("es")
    if compared := re.fullmatch(r"(\w+)(er|est|ish)", word):  # longer, redder, curliest, palest
        stem = compared[1]
        yield from (each for each in (stem, stem[:-1], f"{stem[:-1]}y", f"{stem}e") if each in LOOKS)


def corrected(word: str, right: Iterable[str]) -> str | None:
    """The first of the `right` words of which this one is a slip of the pen, if there is one.

    >>> corrected("brwon", ["blown", "brown"])
    'brown'
    """
    return next((each for each in right if is_slip(word, each)), None)


def is_slip(word: str, right: str) -> bool:
    """Whether both begin alike, and one change makes one the other: a letter more or less, two swapped, or one wrong.

    A wrong letter counts in long words only, since many short words differ by one: "board", "beard".
    """
    shorter, longer = sorted((word, right), key=len)
    if word[:1] != right[:1] or word == right or len(right) < SHORTEST - 1 or len(longer) - len(shorter) > 1:
        return False
    start = next((place for place, (a, b) in enumerate(zip(word, right, strict=False)) if a != b), len(shorter))
    if len(word) == len(right):
        mine, other = word[start:], right[start:]
        swapped = mine[:2] == other[1::-1] and mine[2:] == other[2:]
        return swapped or (len(word) >= SHORTEST + 2 and mine[1:] == other[1:])
    is_doubled = longer[start] == longer[start - 1]
    return longer[start + 1 :] == shorter[start:] and (is_doubled or len(shorter) >= SHORTEST or longer == right)
