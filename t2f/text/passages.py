"""Passages of a description: where a phrase ends, and what remains without one."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from itertools import pairwise
from typing import NamedTuple

from t2f.text.synonyms import AROUND_AGES, DECADES, DENIALS, DETERMINERS, FILLERS, HAIRS, LINKS, LOOKS, words_of
from t2f.text.tokenizer import Token

CONJUNCTIONS = frozenset((",", "and", "or", ";", "/"))
BEFORE_THINGS = words_of("with wearing wears wear in has have having and")
YOUNG_UNTIL = 40  # years
VERBS = words_of("is are has have does do wears wear who he she they looks smiles")


def spelt(tokens: Sequence[Token]) -> str:
    """Tokens as their writer spelt them."""
    return " ".join(token.spelt for token in tokens)


def is_word(text: str) -> bool:
    """Whether there is a letter or a digit in it."""
    return any(letter.isalnum() for letter in text)


def ends_phrase(tokens: Sequence[Token], place: int) -> bool:
    """Whether no word that belongs to the one before stands there."""
    return place >= len(tokens) or not is_word(tokens[place].text) or tokens[place].text in LINKS | CONJUNCTIONS


def without(tokens: list[Token], start: int, end: int) -> list[Token]:
    """Tokens without some, and without what only led to these: "a man [with his] eyes".

    What else is denied remains denied: "no [earrings or] glasses", and what is left out takes its own denial along.
    """
    before, after = tokens[:start], tokens[end:]
    if not ends_phrase(after, 0):
        while before and before[-1].text in ("not", "never", "non"):  # not [old] man
            before.pop()
        return before + after
    determiners = []
    while before and before[-1].text in DETERMINERS:
        determiners.append(before.pop())
    if after and after[0].text in ("or", "nor"):
        denial = next((each for each in determiners if each.text == "no"), None)
        if before and before[-1].text == "neither":
            denial = Token("no", before.pop().spelt)
        return before + [denial] * (denial is not None) + after[1:]
    joins = bool(after) and after[0].text in CONJUNCTIONS
    after = after[1:] if joins else after
    if not joins or ends_phrase(after, 0):
        while before and before[-1].text in LINKS | DETERMINERS:
            before.pop()
        if joins and before and after:
            after = [Token(",", ","), *after]
    return before + after


def end_of_denied(tokens: Sequence[Token], place: int) -> int:
    """Past what a denial denies, which stands before `place`: "wearing a hat or glasses"."""
    while place < len(tokens):
        leads = tokens[place].text in DETERMINERS | BEFORE_THINGS - {"and"} or tokens[place].text in ("or", "nor")
        if ends_phrase(tokens, place) and not leads:
            break
        place += 1
    return place


class Age(NamedTuple):
    """Tokens that tell somebody's age."""

    start: int
    end: int
    is_young: bool


def age_at(tokens: Sequence[Token], place: int) -> Age | None:
    """The age that is told by the number that stands there, as in "in her late 30s" or "25 years old"."""
    before, after = AROUND_AGES
    number = re.fullmatch(r"(\d{1,3})(s|yo|yrs?)?", tokens[place].text)
    years = int(number[1]) if number else DECADES.get(tokens[place].text)
    start, end = place, place + 1
    while start and tokens[start - 1].text in before:
        start -= 1
    while end < len(tokens) and tokens[end].text in after:
        end += 1
    if years is None or years >= 120 or (years < 10 and end == place + 1):
        return None
    if tokens[place].text == "teens" and start == place:
        return None
    return Age(start, end, years < YOUNG_UNTIL)


def looks_before(tokens: Sequence[Token], place: int, looks: frozenset[str]) -> int:
    """Where the words of a thing's looks start, or its own place."""
    while place and tokens[place - 1].text in looks:
        place -= 1
    return place


def predicate_after(tokens: Sequence[Token], end: int, looks: frozenset[str]) -> int:
    """Past "are blue" after "eyes"."""
    if end + 1 < len(tokens) and tokens[end].text in ("is", "are") and tokens[end + 1].text in looks:
        end += 2
        while end < len(tokens) and tokens[end].text in looks:
            end += 1
    return end


def is_of_hair(tokens: Sequence[Token], place: int) -> bool:
    """Whether the word there is one of the looks of hair, which follows: "white" in "white hair"."""
    after = place + 1
    while after < len(tokens) and tokens[after].text in LOOKS:
        after += 1
    return after < len(tokens) and tokens[after].text in HAIRS


def written_out(tokens: Sequence[Token]) -> list[Token]:
    """ "Glasses: no" and "glasses-free" as "no glasses", "hair: black" as "hair is black", "gender: male" as "male"."""
    written: list[Token] = []
    for token in tokens:
        if token.text == "free" and written and is_word(written[-1].text) and written[-1].text not in LINKS:
            written.insert(-1, Token("no", token.spelt))
        elif len(written) > 1 and written[-1].text == ":" and is_word(written[-2].text):
            colon, name = written.pop(), written.pop()
            if token.text in ("no", "none", "false"):
                is_state = name.text in ("bald", "young", "old") or name.text.endswith("ing")
                written += [Token("not" if is_state else "no", token.spelt), name]
            elif token.text in ("yes", "true"):
                written.append(name)
            else:
                written += [token] if name.text in FILLERS else [name, Token("is", colon.spelt), token]
        else:
            written.append(token)
    return written


def said_after(before: Sequence[Token], words: Sequence[str], spelling: str) -> list[Token]:
    """Tokens and the words that stand for what followed, with no denial of a denial: "not bald" is "hair"."""
    said, words = list(before), list(words)
    if words[0] in DENIALS and said and said[-1].text in ("not", "never", "non"):
        said.pop()
        words = words[1:]
    elif words[0] == "without" and said and said[-1].text == "with":  # with neither
        said.pop()
    return said + [Token(word, spelling) for word in words]


def denials_last(tokens: Sequence[Token], known: Container[str]) -> list[Token]:
    """Lists as captions have them: with commas for full stops, and what is missing at the end.

    "No hat, glasses" could be heard as neither.
    """
    ends = len(tokens) - 1 if tokens and tokens[-1].text == "." else len(tokens)
    listed = list(tokens[:ends])
    if "," in known and not any(token.text in VERBS for token in listed):
        listed = [Token(",", token.spelt) if token.text == "." else token for token in listed]
    parts: list[list[Token]] = [[]]
    for token in listed:
        if token.text == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    missing = [part for part in parts if is_missing(part)]
    rest = [part for part in parts if not is_missing(part)]
    if not missing or any(token.text in ("or", "nor") for part in rest for token in part):
        return [*listed, *tokens[ends:]]
    first, *others = [*rest, *missing]
    return [*first, *(token for part in others for token in (Token(",", ","), *part)), *tokens[ends:]]


def is_missing(part: Sequence[Token]) -> bool:
    """Whether a part of a list says what is missing: "no beard"."""
    return bool(part) and part[0].text in ("no", "not", "without") and not any(each.text in VERBS for each in part)


def with_articles(tokens: Sequence[Token], known: Container[str]) -> list[Token]:
    """The tokens with "a" or "an" as the next one sounds, which may stand for what was written or follow by a gap."""
    written = list(tokens)
    for place, (token, after) in enumerate(pairwise(tokens)):
        article = "an" if after.text[0] in "aeiou" else "a"
        if token.text in ("a", "an") and article in known:
            written[place] = Token(article, token.spelt)
    return written
