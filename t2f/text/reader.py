"""What people type -> words that a model knows, and what they should be told of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from t2f.text.lexicon import AGE, ANYONE, HAIR_COLOUR, IDIOMS, PHRASES, TOPIC_OF, Lexicon
from t2f.text.passages import (
    BEFORE_THINGS,
    age_at,
    denials_last,
    end_of_denied,
    ends_phrase,
    is_of_hair,
    is_word,
    looks_before,
    predicate_after,
    said_after,
    spelt,
    with_articles,
    without,
    written_out,
)
from t2f.text.synonyms import (
    DENIALS,
    DETERMINERS,
    FILLERS,
    LINKS,
    LOOKS,
    NOTHING_PLAIN,
    PLAIN_THINGS,
    SHADES,
    THINGS,
    TOPICS,
)
from t2f.text.tokenizer import PAD_ID, UNKNOWN_ID, Token, WordTokenizer

MOST_READ = 1_000  # tokens: an LSTM takes any number, one after the other
MOST_LISTED, LONGEST_LISTED = 8, 30  # words, letters: what a note repeats of a description
LONGEST_PHRASE = 5  # tokens
SEPARATORS = frozenset(";/|+")  # read as commas
MEANINGLESS = DETERMINERS | LINKS | (FILLERS - TOPIC_OF.keys())


@dataclass
class Reading:
    """A description as a model reads it: the words that it knows, and what became of the others."""

    words: list[str]
    understood: bool  # whether a word with a meaning is among them
    replaced: dict[str, str] = field(default_factory=dict)  # spelt -> read as
    unseen: dict[str, list[str]] = field(default_factory=dict)  # topic of which the model knows nothing -> words
    unsaid: dict[str, list[str]] = field(default_factory=dict)  # topic of which it knows other words -> words
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
        for left_out, why in (
            (self.unseen, "the model's training data say nothing of it"),
            (self.unsaid, "the model learnt no word for it"),
        ):
            if left_out:
                topics = ", ".join(f"{topic} ({listed(words)})" for topic, words in left_out.items())
                notes.append(f"left out, since {why}: {topics}")
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
    knows no word for it ("blue eyes": without "eyes", "blue" or "brown" would be read as of hair); else it is ignored.
    All but the first are told. What is denied is never read as asked for.
    """

    def __init__(self, tokenizer: WordTokenizer) -> None:
        self.tokenizer = tokenizer
        self.vocabulary = tokenizer.vocabulary
        self.lexicon = Lexicon(self.vocabulary)
        # A model that knows of blue has learnt the colours of more than hair and skin.
        self.plain_things = () if "blue" in self.vocabulary else PLAIN_THINGS

    def __call__(self, description: str) -> Reading:
        tokens = self.tokenizer.tokens(description)
        tokens, beyond = tokens[:MOST_READ], tokens[MOST_READ:]
        reading = Reading([], False, cut=[each.spelt for each in beyond if is_word(each.text)])
        if self.plain_things or not all(each.text in self.vocabulary for each in tokens):
            tokens = self._spelt_right(written_out(tokens), reading)
            tokens = self._with_phrases(tokens, reading)
            tokens = self._with_ages(tokens, reading)
            tokens = self._without_unknown_things(tokens, reading)
            tokens = self._without_unsaid_denials(tokens, reading)
            tokens = with_articles(denials_last(self._known(tokens, reading), self.vocabulary), self.vocabulary)
        reading.words = [each.text for each in tokens]
        reading.understood = any(is_word(word) and word not in MEANINGLESS for word in reading.words)
        return reading

    def groups(self) -> dict[str, list[str]]:
        """The known words by topic; those of none under "others". Some stand in several."""
        special = (PAD_ID, UNKNOWN_ID)
        words = [word for word in self.lexicon.by_number if is_word(word) and self.vocabulary[word] not in special]
        groups = {topic: [word for word in words if word in some] for topic, some in TOPICS.items()}
        grouped = {word for some in groups.values() for word in some}
        groups["others"] = [word for word in words if word not in grouped]
        return {topic: some for topic, some in groups.items() if some}

    # Each step rewrites the tokens, and notes in the reading what is to be told.

    def _spelt_right(self, tokens: list[Token], reading: Reading) -> list[Token]:
        """Words that nobody knows as those that they are slips of."""
        right = [Token(self.lexicon.corrected(each.text) or each.text, each.spelt) for each in tokens]
        for token, typed in zip(right, tokens, strict=True):
            if token != typed and token.text in self.vocabulary and token.text not in LINKS:
                reading.replaced[token.spelt] = token.text
        return right

    def _with_phrases(self, tokens: list[Token], reading: Reading) -> list[Token]:
        """What several words say together, of which some are unknown, in known words."""
        place = 0
        while place < len(tokens):
            for length in range(min(LONGEST_PHRASE, len(tokens) - place), 1, -1):
                end = place + length
                some = tokens[place:end]
                words = [each.text for each in some if each.text != "-"]
                phrase, is_known = " ".join(words), all(word in self.vocabulary for word in words)
                if phrase not in PHRASES or (is_known and not (phrase in IDIOMS and self.plain_things)):
                    continue
                if meant := self.lexicon.meant(phrase, of_hair=is_of_hair(tokens, end - 1)):
                    reading.replaced[spelt(some)] = " ".join(meant)
                    after = tokens[end:]
                    tokens = [*said_after(tokens[:place], meant, spelt(some)), *after]
                    place = len(tokens) - len(after) - 1
                else:
                    self._leave_out(TOPIC_OF[phrase], spelt(some), reading)
                    tokens = without(tokens, place, end)
                    place -= 1
                break
            place = max(place, -1) + 1
        return tokens

    def _with_ages(self, tokens: list[Token], reading: Reading) -> list[Token]:
        """Numbers of years as young or old."""
        place = 0
        while place < len(tokens):
            age = age_at(tokens, place) if tokens[place].text not in self.vocabulary else None
            if age is not None:
                some = spelt(tokens[age.start : age.end])
                meant = self.lexicon.meant("young" if age.is_young else "older", itself=True)
                if meant:
                    reading.replaced[some] = " ".join(meant)
                    tells = age.start and is_word(tokens[age.start - 1].text) and ends_phrase(tokens, age.end)
                    who_is = ("who", "is") if tells and {"who", "is"} <= self.vocabulary.keys() else ()
                    said = [Token(word, some) for word in (*who_is, *meant)]
                    tokens = [*tokens[: age.start], *said, *tokens[age.end :]]
                    place = age.start + len(said) - 1
                else:
                    self._leave_out(AGE, some, reading)
                    tokens = without(tokens, age.start, age.end)
                    place = -1
            place += 1
        return tokens

    def _without_unknown_things(self, tokens: list[Token], reading: Reading) -> list[Token]:
        """The tokens without things that the model knows no word for, each with its looks: "big blue eyes"."""
        is_known = [bool(each.text in self.vocabulary or self.lexicon.meant(each.text)) for each in tokens]
        gone = [
            span
            for place in range(len(tokens))
            if is_known[place]
            for span in self._unknown_looks(tokens, place, reading)
        ]
        taken = {place for start, end in gone for place in range(start, end)}
        for place, token in enumerate(tokens):
            start, end = looks_before(tokens, place, LOOKS), place + 1
            if is_known[place] or place in taken:
                continue
            if (topic := TOPIC_OF.get(token.text)) in THINGS:
                end = predicate_after(tokens, end, LOOKS)
                self._leave_out(str(topic), spelt(tokens[start:end]), reading)
                gone.append((start, end))
            elif start < place and self._is_object(tokens, start, place):
                reading.ignored[spelt(tokens[start:end])] = None
                gone.append((start, end))
        for start, end in sorted(gone, reverse=True):
            tokens = without(tokens, start, end)
        return tokens

    def _unknown_looks(self, tokens: Sequence[Token], place: int, reading: Reading) -> list[tuple[int, int]]:
        """Where a known thing has looks that the model never learnt of it: "black" of "black hat"."""
        for things, looks, what in self.plain_things:
            if tokens[place].text in things:
                unlearnt = looks if "sunglasses" in self.vocabulary else looks | {"dark"}
                start, end = looks_before(tokens, place, unlearnt), predicate_after(tokens, place + 1, unlearnt)
                spans = [span for span in ((start, place), (place + 1, end)) if span[0] < span[1]]
                if spans:
                    reading.unseen.setdefault(what, []).append(spelt(tokens[start:end]))
                is_nothing = tokens[place].text in NOTHING_PLAIN and start == looks_before(tokens, place, LOOKS)
                return [(start, end)] if spans and is_nothing else spans
        return []

    def _is_object(self, tokens: Sequence[Token], start: int, place: int) -> bool:
        """Whether an unknown word is what somebody has: in "with a brown parrot", brown is no hair's."""
        word = tokens[place].text
        if word in TOPIC_OF or word in FILLERS or self.lexicon.meant(word) or not ends_phrase(tokens, place + 1):
            return False
        while start and tokens[start - 1].text in DETERMINERS:
            start -= 1
        return bool(start) and tokens[start - 1].text in BEFORE_THINGS

    def _without_unsaid_denials(self, tokens: list[Token], reading: Reading) -> list[Token]:
        """The tokens without what the model has no words to deny."""
        place = 0
        while place < len(tokens):
            text = tokens[place].text
            if text in DENIALS and text not in self.vocabulary and not self.lexicon.meant(text):
                end = end_of_denied(tokens, place + 1)
                reading.unsaid.setdefault("what is missing", []).append(spelt(tokens[place:end]))
                tokens = without(tokens, place, end)
            else:
                place += 1
        return tokens

    def _known(self, tokens: list[Token], reading: Reading) -> list[Token]:
        """The known words of tokens, and those that stand for unknown ones."""
        kept: list[Token] = []
        gone = []
        for place, token in enumerate(tokens):
            text = token.text
            if text in self.vocabulary or (text == "face" and tokens[place + 1 : place + 2] == [Token("of", "of")]):
                kept += [token] if text in self.vocabulary else []
            elif text in SEPARATORS and "," in self.vocabulary:
                kept.append(Token(",", token.spelt))
            elif self._is_shade(tokens, place):
                reading.replaced[spelt(tokens[place : place + 2])] = tokens[place + 1].text
            elif meant := self._read_as(tokens, place):
                if text not in FILLERS | LINKS:
                    reading.replaced[token.spelt] = " ".join(meant)
                kept = said_after(kept, meant, token.spelt)
            elif is_word(text) and (text in TOPIC_OF or text not in FILLERS | LINKS):
                gone.append(len(kept))
                kept.append(token)
                if text in TOPIC_OF:
                    self._leave_out(TOPIC_OF[text], token.spelt, reading)
                else:
                    reading.ignored[token.spelt] = self.lexicon.nearest(text)
        for place in reversed(gone):
            if place + 1 not in gone:  # several in a row go at once
                end = place + 1
            if place - 1 not in gone:
                kept = without(kept, place, end)
        return kept

    def _read_as(self, tokens: Sequence[Token], place: int) -> tuple[str, ...] | None:
        """Known words for an unknown one."""
        ends = ends_phrase(tokens, place + 1)
        meant = self.lexicon.meant(tokens[place].text, of_hair=is_of_hair(tokens, place), ends=ends)
        return meant or (self.lexicon.meant("person", itself=True) if self._is_somebody(tokens, place) else None)

    def _is_somebody(self, tokens: Sequence[Token], place: int) -> bool:
        """Whether a word of no table stands where the person does: "professor" of "a professor with glasses"."""
        text, before = tokens[place].text, tokens[:place]
        others = [each.text for each in (*before, *tokens[place + 1 :]) if is_word(each.text)]
        return (
            text.isalpha()
            and (tokens[place].spelt.islower() or not before)
            and text not in TOPIC_OF.keys() | FILLERS | LINKS
            and ends_phrase(tokens, place + 1)
            and not any(each.text in BEFORE_THINGS | DENIALS or each.text == "," for each in before)
            and not any(TOPIC_OF.get(word) == ANYONE for word in others)
            and any(word in TOPIC_OF for word in others)
            and self.lexicon.nearest(text) is None
        )

    def _is_shade(self, tokens: Sequence[Token], place: int) -> bool:
        """Whether the word only tells the kind of the known word after it: "strawberry blonde", "hipster guy"."""
        text, after = tokens[place].text, tokens[place + 1].text if place + 1 < len(tokens) else ""
        topic = TOPIC_OF.get(after)
        is_kind = text in SHADES if topic == HAIR_COLOUR else topic == ANYONE and TOPIC_OF.get(text) == ANYONE
        return is_kind and after in self.vocabulary and text.isalpha()

    def _leave_out(self, topic: str, words: str, reading: Reading) -> None:
        (reading.unsaid if topic in self.lexicon.seen else reading.unseen).setdefault(topic, []).append(words)
