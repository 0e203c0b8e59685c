"""What people type -> words that a model knows, and what they should be told of the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from t2f.text.tokenizer import PAD_ID, UNKNOWN_ID, Token, WordTokenizer
from t2f.text.words import (
    DETERMINERS,
    FILLERS,
    HAIRS,
    KINDS,
    LINKS,
    LOOKS,
    OF_HAIR,
    PLAIN_THINGS,
    SYNONYMS,
    THINGS,
    TOPICS,
    words_of,
)

MOST_READ = 1_000  # tokens: an LSTM takes any number, one after the other
MOST_LISTED, LONGEST_LISTED = 8, 30  # words, letters: what a note repeats of a description
CONJUNCTIONS = frozenset((",", "and", "or", ";", "/"))
BEFORE_THINGS = words_of("with wearing wears wear in has have having and")


@dataclass
class Reading:
    """A description as a model reads it: the words that it knows, and what became of the others."""

    words: list[str]
    understood: bool  # whether a word with a meaning is among them
    replaced: dict[str, str] = field(default_factory=dict)  # spelt -> read as
    unseen: dict[str, list[str]] = field(default_factory=dict)  # topic of which the model knows nothing -> words
    ignored: dict[str, str | None] = field(default_factory=dict)  # unknown word -> known one that is spelt nearly so
    cut: list[str] = field(default_factory=list)  # words past the limit

    @property
    def as_written(self) -> bool:
        """Whether it is understood, and nothing is to be told of it."""
        return self.understood and not self.notes

    @property
    def notes(self) -> list[str]:
        """What the writer should be told, a sentence each."""
        notes = []
        if self.replaced:
            notes.append("read " + ", ".join(f"'{word}' as '{meant}'" for word, meant in self.replaced.items()))
        if self.unseen:
            topics = [f"{topic} ({listed(words)})" for topic, words in self.unseen.items()]
            notes.append(f"left out, since the model's training data say nothing of it: {', '.join(topics)}")
        if self.ignored:
            hints = "".join(f"; for {word}, try {near}" for word, near in self.ignored.items() if near)
            notes.append(f"not among the words of training, so ignored: {listed(list(self.ignored))}{hints}")
        if self.cut:
            notes.append(f"only the first {MOST_READ:,} words are read, so left out: {listed(self.cut)}")
        return notes


def listed(words: Sequence[str]) -> str:
    """The words with commas between, for people to read: long ones cut, and of many the first."""
    first = (word if len(word) <= LONGEST_LISTED else f"{word[:LONGEST_LISTED]}..." for word in words[:MOST_LISTED])
    more = f" and {len(words) - MOST_LISTED:,} more" if len(words) > MOST_LISTED else ""
    return ", ".join(first) + more


class Reader:
    """Reads descriptions in the words of one model.

    Known words stay as they are. An unknown one is passed over where it says nothing of a face; it is read as a known
    word for the same, or for the kind of thing that it is; it is left out, with what goes with it, where the model
    knows no word of its topic ("blue eyes": without "eyes", "blue" or "brown" would be read as of hair); else it is
    ignored. All but the first are told.
    """

    def __init__(self, tokenizer: WordTokenizer) -> None:
        self.tokenizer = tokenizer
        self.vocabulary = tokenizer.vocabulary
        self.unseen = {
            word: topic
            for topic, words in TOPICS.items()
            if not any(each in self.vocabulary for each in words)
            for word in words
        }
        # A model that knows of blue has learnt the colours of more than hair and skin.
        self.plain_things = () if "blue" in self.vocabulary else PLAIN_THINGS

    def __call__(self, description: str) -> Reading:
        tokens = self.tokenizer.tokens(description)
        tokens, beyond = tokens[:MOST_READ], tokens[MOST_READ:]
        reading = Reading([], False, cut=[each.spelt for each in beyond if is_word(each.text)])
        if all(each.text in self.vocabulary for each in tokens) and not self.plain_things:
            kept = [each.text for each in tokens]
        else:
            kept = self._known(self._without_unseen_things(tokens, reading), reading)
        reading.words = kept
        reading.understood = any(is_word(word) and word not in DETERMINERS | LINKS for word in kept)
        return reading

    def groups(self) -> dict[str, list[str]]:
        """The known words by topic; those of none under "others". Some stand in several."""
        by_number = sorted(self.vocabulary, key=lambda word: self.vocabulary[word])  # the most frequent first
        words = [word for word in by_number if is_word(word) and self.vocabulary[word] not in (PAD_ID, UNKNOWN_ID)]
        groups = {topic: [word for word in words if word in some] for topic, some in TOPICS.items()}
        grouped = {word for some in groups.values() for word in some}
        groups["others"] = [word for word in words if word not in grouped]
        return {topic: some for topic, some in groups.items() if some}

    def _without_unseen_things(self, tokens: list[Token], reading: Reading) -> list[Token]:
        """The tokens without things that the model knows nothing of, each with its looks: "big blue eyes"."""
        gone: list[tuple[int, int]] = []
        for place, token in enumerate(tokens):
            start, end = self._looks_before(tokens, place, LOOKS), place + 1
            for things, looks, what in self.plain_things:
                first = self._looks_before(tokens, place, looks)
                if token.text in things and first < place:
                    reading.unseen.setdefault(what, []).append(spelt(tokens[first : place + 1]))
                    gone.append((first, place))
            if token.text in self.vocabulary or (gone and gone[-1][1] == place):
                continue
            topic = self.unseen.get(token.text)
            if topic in THINGS:
                end = self._predicate_after(tokens, end)
                reading.unseen.setdefault(str(topic), []).append(spelt(tokens[start:end]))
                gone.append((start, end))
            elif start < place and self._is_object(tokens, start, place):
                reading.ignored[spelt(tokens[start:end])] = None
                gone.append((start, end))
        for start, end in reversed(gone):
            tokens = without(tokens, start, end)
        return tokens

    def _looks_before(self, tokens: Sequence[Token], place: int, looks: frozenset[str]) -> int:
        """Where the words of a thing's looks start, or its own place."""
        while place and tokens[place - 1].text in looks:
            place -= 1
        return place

    def _predicate_after(self, tokens: Sequence[Token], end: int) -> int:
        """Past "are blue" after "eyes"."""
        if end + 1 < len(tokens) and tokens[end].text in ("is", "are") and tokens[end + 1].text in LOOKS:
            end += 2
            while end < len(tokens) and tokens[end].text in LOOKS:
                end += 1
        return end

    def _is_object(self, tokens: Sequence[Token], start: int, place: int) -> bool:
        """Whether an unknown word is what somebody has: in "with a brown parrot", brown is no hair's."""
        word = tokens[place].text
        if word in self.unseen or word in FILLERS or self._meant(word) or not ends_phrase(tokens, place + 1):
            return False
        while start and tokens[start - 1].text in DETERMINERS:
            start -= 1
        return bool(start) and tokens[start - 1].text in BEFORE_THINGS

    def _known(self, tokens: list[Token], reading: Reading) -> list[str]:
        """The known words of tokens, and those that stand for unknown ones."""
        kept: list[Token] = []
        gone = []
        for place, token in enumerate(tokens):
            text = token.text
            if text in self.vocabulary:
                kept.append(token)
                continue
            topic = "age" if re.fullmatch(r"\d+s?", text) and "age" in self.unseen.values() else self.unseen.get(text)
            if meant := self._of_hair(tokens, place) or self._meant(text):
                if text not in FILLERS | LINKS:
                    reading.replaced[token.spelt] = " ".join(meant)
                kept += [Token(word, token.spelt) for word in meant]
            elif is_word(text) and (topic or text not in FILLERS):
                gone.append(len(kept))
                kept.append(token)
                if topic:
                    reading.unseen.setdefault(topic, []).append(token.spelt)
                else:
                    reading.ignored[token.spelt] = self._nearest(text)
        for place in reversed(gone):
            kept = without(kept, place, place + 1)
        return [token.text for token in kept]

    def _of_hair(self, tokens: Sequence[Token], place: int) -> tuple[str, ...] | None:
        """A known colour for an unknown one that is of the hair, as "white" before "hair"."""
        after = place + 1
        while after < len(tokens) and tokens[after].text in LOOKS:
            after += 1
        colour = OF_HAIR.get(tokens[place].text)
        of_hair = after < len(tokens) and tokens[after].text in HAIRS
        return (colour,) if of_hair and colour in self.vocabulary else None

    def _meant(self, word: str) -> tuple[str, ...] | None:
        """Known words for the same as an unknown one, or for its kind."""
        for form in forms(word):
            for meant in others(form):
                words = tuple(meant.split())
                if words != (word,) and all(each in self.vocabulary for each in words):
                    return words
        return None

    def _nearest(self, word: str) -> str | None:
        """The known word that is spelt most like this one, if one nearly is: "woman" for "womann"."""
        if not 4 <= len(word) <= LONGEST_LISTED:
            return None
        near = [each for each in self.vocabulary if each[0] == word[0] and abs(len(each) - len(word)) <= 2]
        likeness: Mapping[str, float] = {each: SequenceMatcher(None, word, each).ratio() for each in near}
        best = max(near, key=lambda each: likeness[each], default=None)
        return best if best is not None and likeness[best] >= 0.8 else None


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
    """Tokens without some, and without what only led to these: "a man [with his] eyes"."""
    before, after = tokens[:start], tokens[end:]
    if ends_phrase(after, 0):
        while before and before[-1].text in DETERMINERS:
            before.pop()
        joins = bool(after) and after[0].text in CONJUNCTIONS
        after = after[1:] if joins else after
        if not joins or ends_phrase(after, 0):
            while before and before[-1].text in LINKS | DETERMINERS:
                before.pop()
            if joins and before and after:
                after = [Token(",", ","), *after]
    return before + after


def forms(word: str) -> Iterator[str]:
    """A word, its singular or plain form, and the parts of one such as "redhaired"."""
    yield word
    if compound := re.fullmatch(r"(\w{3,})(haired|skinned|shaven|headed)", word):
        yield " ".join(compound.groups())
        yield f"{compound[1]} {compound[2].removesuffix('ed').replace('skinn', 'skin')}"
    if len(word) > 3 and word.endswith("s"):
        if word.endswith("ies"):
            yield f"{word[:-3]}y"
        yield word.removesuffix("s")
        yield word.removesuffix("es")


def others(form: str) -> Iterator[str]:
    """The form itself, its synonyms, and what it is a kind of."""
    yield form
    for group in SYNONYMS:
        if form in group:
            yield from group
    yield from KINDS.get(form, ())
