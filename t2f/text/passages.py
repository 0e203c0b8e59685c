"""Rewrites passages of a tokenized description: phrases, denials, ages and lists."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from itertools import pairwise
from typing import NamedTuple

from t2f.text.synonyms import (
    AROUND_AGES,
    DECADES,
    DENIALS,
    DETERMINERS,
    FILLERS,
    HAIRS,
    LINKS,
    LOOKS,
    NUMBERS,
    SHORTHAND,
    THINGS,
    TOPICS,
    words_of,
)
from t2f.text.tokenizer import Token

CONJUNCTIONS = frozenset((",", "and", "or", ";", "/"))
BEFORE_THINGS = words_of("with wearing wears wear in has have having and")
MIN_OLD_AGE = 40  # years
LIMITS = {"over": 10, "above": 10, "older": 10, "under": -10, "below": -10, "younger": -10}  # years
LIMITS |= dict.fromkeys(["aged", "about", "around", "roughly", "approximately", "circa", "nearly", "almost"], 0)
DATED = words_of("style styled hair hairstyle haircut fashion look vibe music movie film band photo")
INITIALS = {"m": "male", "f": "female"}
REMOVING = words_of("took takes taken taking shaved shaves cut has have had with")
VERBS = words_of("is are has have does do wears wear who he she they looks smiles")
FINITE_VERBS = {f"{verb}s": verb for verb in ("wear", "smile", "grin", "laugh", "look")} | {"has": "have"}
BEFORE_NOUNS = words_of("with wearing wears wear has have had having got in")
NOUNS = HAIRS.union(*(TOPICS[topic] for topic in (*THINGS, "glasses", "hat", "beard and mustache")))


def spelling(tokens: Sequence[Token]) -> str:
    """Return tokens in the spelling of the description."""
    return " ".join(token.spelling for token in tokens)


def is_word(text: str) -> bool:
    """Whether a token contains a letter or a digit."""
    return any(character.isalnum() for character in text)


def ends_phrase(tokens: Sequence[Token], index: int) -> bool:
    """Whether the token at an index does not belong to the phrase before it."""
    return index >= len(tokens) or not is_word(tokens[index].text) or tokens[index].text in LINKS | CONJUNCTIONS


def without(tokens: list[Token], start: int, end: int) -> list[Token]:
    """Remove the tokens in [start, end) and the words that lead to them, as in "a man [with his] eyes".

    A denial that also applies to other words is kept: "no [earrings or] glasses". A denial of the removed words only
    is removed with them.
    """
    before, after = tokens[:start], tokens[end:]
    if not ends_phrase(after, 0):
        articles = [before.pop()] if before and before[-1].text in ("a", "an") else []
        while before and before[-1].text in ("not", "never", "non"):  # not [old] man, not an [old] man
            before.pop()
        return before + articles + after
    determiners = []
    while before and before[-1].text in DETERMINERS:
        determiners.append(before.pop())
    if after and after[0].text in ("or", "nor"):
        denial = next((each for each in determiners if each.text == "no"), None)
        if before and before[-1].text == "neither":
            denial = Token("no", before.pop().spelling)
        return [*before, *([] if denial is None else [denial]), *after[1:]]
    joins = bool(after) and after[0].text in CONJUNCTIONS
    after = after[1:] if joins else after
    if not joins or ends_phrase(after, 0):
        while before and before[-1].text in LINKS | DETERMINERS:
            before.pop()
        if joins and before and after:
            after = [Token(",", ","), *after]
    return before + after


def end_of_denied(tokens: Sequence[Token], index: int) -> int:
    """Return the end of the words that a denial before `index` applies to, such as "wearing a hat or glasses"."""
    while index < len(tokens):
        continues = tokens[index].text in DETERMINERS | BEFORE_THINGS - {"and"} or tokens[index].text in ("or", "nor")
        if ends_phrase(tokens, index) and not continues:
            break
        index += 1
    return index


class Age(NamedTuple):
    """Tokens [start, end) that state an age."""

    start: int
    end: int
    is_young: bool


def age_at(tokens: Sequence[Token], index: int) -> Age | None:
    """Return the age that the number at an index states, as in "in her late 30s", "60ish" or "twenty-five years old".

    None if the number states no age.
    """
    before, after = AROUND_AGES
    texts = [*(token.text for token in tokens), "", ""]
    years, suffix = _number(texts[index])
    start, end = index, index + 1
    while start and texts[start - 1] in before:
        start -= 1
    ones = end + 1 if texts[end] == "-" else end
    if texts[index] in NUMBERS and years is not None and years >= 20 and NUMBERS.get(texts[ones], 10) < 10:
        years, end = years + NUMBERS[texts[ones]], ones + 1
    number_end = end
    while texts[end] in after:
        end += 1
    is_said = end > number_end or suffix not in ("", "s") or any(text in LIMITS for text in texts[start:index])
    is_alone = texts[index] not in NUMBERS and ":" not in texts[max(index - 1, 0) : end + 1]
    if (
        years is None
        or years >= 120
        or (years < 10 and end == number_end)
        or not (is_said or (is_alone and 10 <= years < 100))
    ):
        return None
    if (texts[index] == "teens" and start == index) or (suffix == "s" and texts[end] in DATED):
        return None
    limit = max((LIMITS.get(text, 0) for text in texts[start:index]), key=abs, default=0)
    return Age(start, end, years + limit < MIN_OLD_AGE)


def _number(text: str) -> tuple[int | None, str]:
    """Split a number as "30s", "60ish", "fortysomething" or "sixties" into its value and its suffix."""
    if text in DECADES:
        return DECADES[text], "s"
    if number := re.fullmatch(r"(\d{1,3})(s|ish|somethings?|y|yo|yrs?)?", text):
        return int(number[1]), number[2] or ""
    number = re.fullmatch(r"(\w+?)(ish|somethings?)?", text)
    return (NUMBERS.get(number[1]), number[2] or "") if number else (None, "")


def looks_before(tokens: Sequence[Token], index: int, looks: frozenset[str]) -> int:
    """Return the start of the adjectives before an index; the index itself if there are none."""
    while index and tokens[index - 1].text in looks:
        index -= 1
    return index


def predicate_after(tokens: Sequence[Token], end: int, looks: frozenset[str]) -> int:
    """Return the end of a predicate such as "are blue" after "eyes"; `end` itself if there is none."""
    if end + 1 < len(tokens) and tokens[end].text in ("is", "are") and tokens[end + 1].text in looks:
        end += 2
        while end < len(tokens) and tokens[end].text in looks:
            end += 1
    return end


def is_before_hair(tokens: Sequence[Token], index: int) -> bool:
    """Whether the word at an index describes hair that follows, as "white" in "white curly hair"."""
    after = index + 1
    while after < len(tokens) and tokens[after].text in LOOKS:
        after += 1
    return after < len(tokens) and tokens[after].text in HAIRS


def expand_fields(tokens: Sequence[Token]) -> list[Token]:
    """Rewrite forms as text.

    "glasses: no" and "glasses-free" become "no glasses", "hair: black" becomes "hair is black", "gender: male"
    becomes "male".
    """
    expanded: list[Token] = []
    for token in tokens:
        if token.text == "free" and expanded and is_word(expanded[-1].text) and expanded[-1].text not in LINKS:
            expanded.insert(-1, Token("no", token.spelling))
        elif (
            len(expanded) > 1
            and is_word(expanded[-2].text)
            and not expanded[-2].text.isdecimal()
            and (expanded[-1].text in (":", "=") or (expanded[-1].text == "?" and token.text in ("yes", "no")))
        ):
            colon, name = expanded.pop(), expanded.pop()
            if token.text in ("no", "none", "false"):
                is_adjective = name.text in ("bald", "young", "old") or name.text.endswith("ing")
                expanded += [Token("not" if is_adjective else "no", token.spelling), name]
            elif token.text in ("yes", "true"):
                expanded.append(name)
            else:
                expanded += [token] if name.text in FILLERS | {"age"} else [name, Token("is", colon.spelling), token]
        else:
            expanded.append(token)
    return expanded


def expand_short_words(tokens: Sequence[Token]) -> list[Token]:
    """Rewrite "w" as "with", and "m" and "f", alone in a list or before an age, as a sex: "f, 25", "25m", "F/28".

    Before other numbers, "f" is an aperture: "f/1.8".
    """
    expanded: list[Token] = []
    for index, token in enumerate(tokens):
        after = [each.text for each in tokens[index + 1 : index + 5]]
        is_first = not expanded or not is_word(expanded[-1].text) or expanded[-1].text.isdecimal()
        is_aperture = "".join(after[:2]) in ("/1", "/2", "/4", "/8") or (
            after[:1] == ["/"] and after[2:3] == ["."] and after[3:]
        )
        is_last = ends_phrase(tokens, index + 1) or re.fullmatch(r"\d\d(s|yo)?", after[0]) is not None
        if aged := re.fullmatch(r"(\d\d)([mf])|([mf])(\d\d)", token.text):
            expanded.append(Token(INITIALS[aged[2] or aged[3]], token.spelling))
            expanded.append(Token(aged[1] or aged[4], token.spelling))
        elif token.text in INITIALS and is_first and is_last and not is_aperture:
            expanded.append(Token(INITIALS[token.text], token.spelling))
        else:
            expanded.append(Token(SHORTHAND.get(token.text, token.text), token.spelling))
    return expanded


def expand_gone(tokens: Sequence[Token]) -> list[Token]:
    """Rewrite "his beard is gone" and "took his hat off" as "no beard" and "without hat"."""
    expanded: list[Token] = []
    for index, token in enumerate(tokens):
        if token.text not in ("gone", "missing", "absent", "off") or not ends_phrase(tokens, index + 1):
            expanded.append(token)
            continue
        end = len(expanded)
        while end and expanded[end - 1].text in ("is", "are", "has", "have", "been", "all", "now"):
            end -= 1
        start = end
        while start and expanded[start - 1].text in LOOKS | NOUNS:
            start -= 1
        if start == end or (token.text == "off" and expanded[end - 1].text not in NOUNS):
            expanded.append(token)
            continue
        noun, expanded = expanded[start:end], expanded[:start]
        while expanded and expanded[-1].text in DETERMINERS | {"whose"}:
            expanded.pop()
        while expanded and expanded[-1].text in REMOVING:
            expanded.pop()
        denial = "without" if expanded and is_word(expanded[-1].text) else "no"
        expanded += [Token(denial, token.spelling), *noun]
    return expanded


def start_of_comparison(tokens: Sequence[Token], end: int) -> int | None:
    """Return the index of "like" or "as" in a comparison before `end`, as in "like a lion"; None if there is none."""
    start = end
    while start and not (start < end and ends_phrase(tokens, start)) and tokens[start - 1].text not in ("like", "as"):
        start -= 1
    return start - 1 if 0 < start < end and tokens[start - 1].text in ("like", "as") else None


def expand_neither(tokens: Sequence[Token]) -> list[Token]:
    """Rewrite "neither X nor Y" as "not X and not Y", and "neither a hat nor glasses" as "no hat and no glasses".

    Training captions contain "neither" too rarely for a model to learn that it denies both.
    """
    texts = [token.text for token in tokens]
    expanded: list[Token] = []
    index, last = 0, -1  # the current token, and the last conjunction of the current "neither"
    conjunction, before_noun = "nor", False
    while index < len(texts):
        opens = index > last and texts[index] == "neither"
        if opens:
            end = next((i for i in range(index + 1, len(texts)) if texts[i] in (".", "neither")), len(texts))
            conjunction = "nor" if "nor" in texts[index:end] else "or"
            conjunctions = [i for i in range(index, end) if texts[i] == conjunction]
            opens = bool(conjunctions)
            last = conjunctions[-1 if conjunction == "nor" else 0] if opens else -1
            before_noun = index > 0 and texts[index - 1] in BEFORE_NOUNS
        joins = index <= last and texts[index] in (conjunction, ",")
        if joins and texts[index : index + 2] == [",", conjunction]:
            pass  # "neither X, nor Y": the conjunction joins
        elif opens or joins:
            words, replaced = _deny(tokens[index + 1 :], before_noun)
            expanded += [Token(word, tokens[index].spelling) for word in (["and", *words] if joins else words)]
            index += replaced
        else:
            expanded.append(tokens[index])
        index += 1
    return expanded


def _deny(tokens: Sequence[Token], before_noun: bool) -> tuple[list[str], int]:
    """Return words that deny the phrase at the start of the tokens, and the number of its tokens that they replace."""
    first = tokens[0].text if tokens else ""
    end = next((index for index in range(1, len(tokens)) if ends_phrase(tokens, index)), len(tokens))
    noun = tokens[end - 1].text if tokens else ""
    is_noun = noun in NOUNS and not noun.endswith(("ed", "ing", "less", "shaven"))
    if first in FINITE_VERBS:
        return ["does", "not", FINITE_VERBS[first]], 1
    if first in ("is", "are"):
        return [first, "not"], 1
    if first == "with":
        return ["without"], 1
    if first in DETERMINERS:
        return ["no"], 1
    if not before_noun and first in FINITE_VERBS.values():
        return ["do", "not"], 0
    return ["no" if before_noun or (is_noun and not first.endswith("ing")) else "not"], 0


def append_replacement(before: Sequence[Token], words: Sequence[str], original: str) -> list[Token]:
    """Append the words that replace an original spelling. A double denial cancels: "not bald" becomes "hair"."""
    tokens, words = list(before), list(words)
    if not words:
        return tokens
    if words[0] in DENIALS and tokens and tokens[-1].text in ("not", "never", "non"):
        tokens.pop()
        words = words[1:]
    elif words[0] == "without" and tokens and tokens[-1].text == "with":  # with neither
        tokens.pop()
    return tokens + [Token(word, original) for word in words]


def denials_last(tokens: Sequence[Token], known: Container[str]) -> list[Token]:
    """Reorder a list so that denials are at its end, as in captions, with commas in place of full stops.

    "no hat, glasses" could be read as neither.
    """
    end = len(tokens) - 1 if tokens and tokens[-1].text == "." else len(tokens)
    listed = list(tokens[:end])
    if "," in known and not any(token.text in VERBS for token in listed):
        listed = [Token(",", token.spelling) if token.text == "." else token for token in listed]
    parts: list[list[Token]] = [[]]
    for token in listed:
        if token.text == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    denials = [part for part in parts if is_denial(part)]
    rest = [part for part in parts if not is_denial(part)]
    if not denials or any(token.text in ("or", "nor") for part in rest for token in part):
        return [*listed, *tokens[end:]]
    first, *others = [*rest, *denials]
    return [*first, *(token for part in others for token in (Token(",", ","), *part)), *tokens[end:]]


def is_denial(part: Sequence[Token]) -> bool:
    """Whether a part of a list denies something, as in "no beard"."""
    return bool(part) and part[0].text in ("no", "not", "without") and not any(each.text in VERBS for each in part)


def correct_articles(tokens: Sequence[Token], known: Container[str]) -> list[Token]:
    """Choose "a" or "an" by the word that follows, which may have been replaced or removed."""
    corrected = list(tokens)
    for index, (token, after) in enumerate(pairwise(tokens)):
        article = "an" if after.text[0] in "aeiou" else "a"
        if token.text in ("a", "an") and article in known:
            corrected[index] = Token(article, token.spelling)
    return corrected
