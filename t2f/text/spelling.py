"""Spelling: inflected forms, compounds and single-letter typos."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from t2f.text.synonyms import LOOKS

PEOPLE = "man|woman|men|women|boy|girl|boys|girls|lady|guy"
MIN_LENGTH = 5  # letters of a misspelled word with an extra letter; a word with a wrong letter needs two more


def forms(word: str) -> Iterator[str]:
    """Yield a word, its singular or positive form, and the parts of "redhaired", "beardless" and "unbearded"."""
    yield word
    if compound := re.fullmatch(r"(\w{3,})(haired|skinned|shaven|headed|hair)", word):
        yield " ".join(compound.groups())
        yield f"{compound[1]} {compound[2].removesuffix('ed').replace('skinn', 'skin')}"
    if person := re.fullmatch(rf"(?!w[oi]|hu)(?:\w{{3,}}?|\d+)({PEOPLE})", word):
        yield person[1]
    if without := re.fullmatch(r"(\w{3,})less", word):
        yield f"no {without[1]}"
        yield f"without {without[1]}"
    if denied := re.fullmatch(r"un(\w{4,})", word):
        yield f"not {denied[1]}"
    if len(word) > 3 and word.endswith("s"):
        if word.endswith("ies"):
            yield f"{word[:-3]}y"
        yield word.removesuffix("s")
        yield word.removesuffix("es")
    if comparative := re.fullmatch(r"(\w+)(er|est|ish)", word):  # longer, redder, curliest, palest
        stem = comparative[1]
        yield from (each for each in (stem, stem[:-1], f"{stem[:-1]}y", f"{stem}e") if each in LOOKS)


def corrected(word: str, correct_words: Iterable[str]) -> str | None:
    """Return the first of the correct words that a word misspells, or None.

    >>> corrected("brwon", ["blown", "brown"])
    'brown'
    """
    return next((each for each in correct_words if is_typo(word, each)), None)


def is_typo(word: str, correct: str) -> bool:
    """Whether two words have the same first letter and differ by one edit.

    Edits are an added or missing letter, two swapped letters, or a wrong letter. A wrong letter counts in long words
    only, since many short words differ by one letter: "board", "beard".
    """
    shorter, longer = sorted((word, correct), key=len)
    if word[:1] != correct[:1] or word == correct or len(correct) < MIN_LENGTH - 1 or len(longer) - len(shorter) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(word, correct, strict=False)) if a != b), len(shorter))
    if len(word) == len(correct):
        rest, correct_rest = word[start:], correct[start:]
        swapped = rest[:2] == correct_rest[1::-1] and rest[2:] == correct_rest[2:]
        return swapped or (len(word) >= MIN_LENGTH + 2 and rest[1:] == correct_rest[1:])
    is_doubled = longer[start] == longer[start - 1]
    return longer[start + 1 :] == shorter[start:] and (is_doubled or len(shorter) >= MIN_LENGTH or longer == correct)
