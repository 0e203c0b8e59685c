"""Rewrites descriptions of users in the words that a model was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from t2f.text.lexicon import (
    AGE,
    CONCEPTS_OF,
    HAIR_COLOR,
    IDIOMS,
    PERSON,
    PHRASES,
    TOPIC_OF,
    Lexicon,
    topic_of,
)
from t2f.text.passages import (
    BEFORE_THINGS,
    age_at,
    append_replacement,
    correct_articles,
    denials_last,
    end_of_denied,
    ends_phrase,
    expand_fields,
    expand_gone,
    expand_neither,
    expand_short_words,
    is_before_hair,
    is_word,
    looks_before,
    predicate_after,
    spelling,
    start_of_comparison,
    without,
)
from t2f.text.synonyms import (
    DENIALS,
    DETERMINERS,
    FILLERS,
    LINKS,
    LOOKS,
    SHADES,
    SIMPLE_THINGS,
    THINGS,
    TOPICS,
    UNIVERSAL_THINGS,
)
from t2f.text.tokenizer import PAD_ID, UNKNOWN_ID, Token, WordTokenizer

MAX_TOKENS = 1_000  # an LSTM accepts any number, but processes them one after the other
MAX_LISTED_WORDS, MAX_LISTED_LENGTH = 8, 30  # words, and characters of a word, that a note repeats
MAX_PHRASE_LENGTH = 5  # tokens
SEPARATORS = frozenset(";/|+")  # read as commas
COSTUMES = ("clothes", "makeup", "head coverings")
ATTRIBUTES = ("beard and mustache", "glasses", "hat")
MEANINGLESS = DETERMINERS | LINKS | (FILLERS - TOPIC_OF.keys())


@dataclass
class Reading:
    """A description in the words of a model.

    Attributes:
        words: Known words, in order.
        understood: Whether a word with a meaning is among them.
        replaced: The replacement of each unknown word or phrase.
        unknown_topics: Removed words by topic, for topics of which the model knows no word.
        unknown_words: Removed words by topic, for topics of which the model knows other words.
        ignored: Removed words without a topic, each with the known word of the most similar spelling, or None.
        truncated: Words past the limit.
    """

    words: list[str]
    understood: bool
    replaced: dict[str, str] = field(default_factory=dict)
    unknown_topics: dict[str, list[str]] = field(default_factory=dict)
    unknown_words: dict[str, list[str]] = field(default_factory=dict)
    ignored: dict[str, str | None] = field(default_factory=dict)
    truncated: list[str] = field(default_factory=list)

    @property
    def as_written(self) -> bool:
        """Whether the description is understood without any note."""
        return self.understood and not self.notes

    @property
    def notes(self) -> list[str]:
        """Notes for the writer of the description, one sentence each."""
        notes = []
        if self.replaced:
            notes.append("read " + ", ".join(f"'{word}' as '{words}'" for word, words in self.replaced.items()))
        for removed, reason in (
            (self.unknown_topics, "the model's training data say nothing of it"),
            (self.unknown_words, "the model learned no word for it"),
        ):
            if removed:
                topics = ", ".join(f"{topic} ({listed(words)})" for topic, words in removed.items())
                notes.append(f"left out, since {reason}: {topics}")
        if self.ignored:
            hints = "".join(f"; for {word}, try {near}" for word, near in self.ignored.items() if near)
            notes.append(f"not among the words of training, so ignored: {listed(list(self.ignored))}{hints}")
        if self.truncated:
            notes.append(f"only the first {MAX_TOKENS:,} words are read, so left out: {listed(self.truncated)}")
        return notes


def listed(words: Sequence[str]) -> str:
    """Join words with commas, shorten long words, and only count the words after the first ones."""
    shown = words[:MAX_LISTED_WORDS]
    short = (word if len(word) <= MAX_LISTED_LENGTH else f"{word[:MAX_LISTED_LENGTH]}..." for word in shown)
    more = f" and {len(words) - len(shown):,} more" if len(words) > len(shown) else ""
    return ", ".join(short) + more


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join spans that touch or overlap, and return them from the last to the first."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans, reverse=True):
        if merged and end >= merged[-1][0]:
            merged[-1] = (start, max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _new_words(before: Sequence[Token], words: Sequence[str]) -> Sequence[str]:
    """Remove the words that the text before ends with: "an old geezer" becomes "an old man", not "an old old man"."""
    texts = [token.text for token in before]
    same = max((n for n in range(1, len(words) + 1) if texts[-n:] == list(words[:n])), default=0)
    return words if DENIALS & set(words) else words[same:]


class DescriptionReader:
    """Rewrites descriptions in the words of one model, and records what it changed.

    Known words are kept. An unknown word is

    - skipped without a note, if it says nothing about a face,
    - replaced by a known word of the same meaning or by a more general one,
    - removed together with its adjectives, if the model has no word for it: without "eyes", "blue" in "blue eyes"
      would describe the hair,
    - ignored otherwise.

    "neither X nor Y" becomes "not X and not Y"; "not a man", which no caption contains, becomes "a woman".

    Args:
        tokenizer: The tokenizer of the model.
    """

    def __init__(self, tokenizer: WordTokenizer) -> None:
        self.tokenizer = tokenizer
        self.vocabulary = tokenizer.vocabulary
        self.lexicon = Lexicon(self.vocabulary)
        # Neither hair nor skin is blue: a model with that word was trained on captions with colors of other things.
        self.simple_things = () if "blue" in self.vocabulary else SIMPLE_THINGS

    def __call__(self, description: str) -> Reading:
        """Read a description."""
        tokens = self.tokenizer.tokens(description)
        tokens, rest = tokens[:MAX_TOKENS], tokens[MAX_TOKENS:]
        reading = Reading([], False, truncated=[each.spelling for each in rest if is_word(each.text)])
        tokens = expand_neither(tokens)
        if self.simple_things or not all(each.text in self.vocabulary for each in tokens):
            tokens = self._correct_spelling(expand_gone(expand_short_words(expand_fields(tokens))), reading)
            tokens = self._replace_phrases(tokens, reading)
            tokens = self._replace_ages(tokens, reading)
            tokens = self._remove_comparisons(tokens, reading)
            tokens = self._remove_unknown_things(tokens, reading)
            tokens = self._replace_denials(tokens, reading)
            tokens = self._replace_unknown_words(tokens, reading)
            tokens = correct_articles(denials_last(tokens, self.vocabulary), self.vocabulary)
        reading.words = [each.text for each in tokens]
        reading.understood = any(is_word(word) and word not in MEANINGLESS for word in reading.words)
        return reading

    def words_by_topic(self) -> dict[str, list[str]]:
        """Return the known words by topic, and the words without a topic as "others"."""
        special = (PAD_ID, UNKNOWN_ID)
        words = [word for word in self.lexicon.by_frequency if is_word(word) and self.vocabulary[word] not in special]
        groups = {topic: [word for word in words if word in some] for topic, some in TOPICS.items()}
        grouped = {word for some in groups.values() for word in some}
        groups["others"] = [word for word in words if word not in grouped]
        return {topic: some for topic, some in groups.items() if some}

    # Each step rewrites the tokens, and records the changes in the reading.

    def _correct_spelling(self, tokens: list[Token], reading: Reading) -> list[Token]:
        """Correct misspelled words that are neither known nor in the tables."""
        corrected = [Token(self.lexicon.corrected(each.text) or each.text, each.spelling) for each in tokens]
        for token, original in zip(corrected, tokens, strict=True):
            if token != original and token.text in self.vocabulary and token.text not in LINKS:
                reading.replaced[token.spelling] = token.text
        return corrected

    def _replace_phrases(self, tokens: list[Token], reading: Reading) -> list[Token]:
        """Replace idioms and phrases that contain unknown words, or remove them."""
        index = 0
        while index < len(tokens):
            for length in range(min(MAX_PHRASE_LENGTH, len(tokens) - index), 1, -1):
                end = index + length
                span = tokens[index:end]
                words = [each.text for each in span if each.text != "-"]
                phrase, is_known = " ".join(words), all(word in self.vocabulary for word in words)
                if phrase not in PHRASES or (is_known and not (phrase in IDIOMS and self.simple_things)):
                    continue
                if replacement := self.lexicon.replacement(phrase, before_hair=is_before_hair(tokens, end - 1)):
                    reading.replaced[spelling(span)] = " ".join(replacement)
                    after = tokens[end:]
                    tokens = [*append_replacement(tokens[:index], replacement, spelling(span)), *after]
                    index = len(tokens) - len(after) - 1
                else:
                    start = looks_before(tokens, index, LOOKS) if TOPIC_OF[phrase] in THINGS else index
                    self._note_removed(TOPIC_OF[phrase], spelling(tokens[start:end]), reading)
                    tokens = without(tokens, start, end)
                    index = start - 1
                break
            index = max(index, -1) + 1
        return tokens

    def _replace_ages(self, tokens: list[Token], reading: Reading) -> list[Token]:
        """Replace ages in years by "young" or "older", or remove them."""
        index = 0
        while index < len(tokens):
            age = age_at(tokens, index) if tokens[index].text not in self.vocabulary else None
            if age is not None:
                original = spelling(tokens[age.start : age.end])
                replacement = self.lexicon.replacement("young" if age.is_young else "older", allow_same=True)
                if replacement:
                    reading.replaced[original] = " ".join(replacement)
                    follows_noun = age.start and is_word(tokens[age.start - 1].text) and ends_phrase(tokens, age.end)
                    who_is = ("who", "is") if follows_noun and {"who", "is"} <= self.vocabulary.keys() else ()
                    words = [Token(word, original) for word in (*who_is, *replacement)]
                    tokens = [*tokens[: age.start], *words, *tokens[age.end :]]
                    index = age.start + len(words) - 1
                else:
                    self._note_removed(AGE, original, reading)
                    tokens = without(tokens, age.start, age.end)
                    index = -1
            index += 1
        return tokens

    def _remove_comparisons(self, tokens: list[Token], reading: Reading) -> list[Token]:
        """Remove comparisons with what the model has no words for, as in "hair as black as coal"."""
        for end in range(len(tokens), 1, -1):
            start = start_of_comparison(tokens, end) if end <= len(tokens) and ends_phrase(tokens, end) else None
            if start is None:
                continue
            words = [each.text for each in tokens[start + 1 : end] if each.text not in DETERMINERS | FILLERS]
            has_subject = any(each.text in TOPIC_OF for each in tokens[:start])
            unknown = (None, self.lexicon.replacement("person", allow_same=True) if has_subject else None)
            if words and all(
                word not in self.vocabulary and self.lexicon.replacement(word) in unknown for word in words
            ):
                self._note_removed("comparisons", spelling(tokens[start:end]), reading)
                tokens = without(tokens, start, end)
        return tokens

    def _remove_unknown_things(self, tokens: list[Token], reading: Reading) -> list[Token]:
        """Remove things that the model has no word for together with their adjectives, as in "big blue eyes"."""
        is_known = [bool(each.text in self.vocabulary or self.lexicon.replacement(each.text)) for each in tokens]
        removed = [
            span
            for index in range(len(tokens))
            if is_known[index]
            for span in self._unknown_adjectives(tokens, index, reading)
        ]
        covered = {index for start, end in removed for index in range(start, end)}
        for index, token in enumerate(tokens):
            start, end = looks_before(tokens, index, LOOKS), index + 1
            if start and TOPIC_OF.get(token.text) in COSTUMES and self._is_unknown_person(tokens[start - 1].text):
                start = looks_before(tokens, start - 1, LOOKS)  # pirate in "a pirate costume" is no person
            if is_known[index] or index in covered:
                continue
            if (topic := TOPIC_OF.get(token.text)) in THINGS:
                end = predicate_after(tokens, end, LOOKS)
                self._note_removed(str(topic), spelling(tokens[start:end]), reading)
                removed.append((start, end))
            elif start < index and self._is_object(tokens, start, index):
                reading.ignored[spelling(tokens[start:end])] = None
                removed.append((start, end))
        for start, end in _merged(removed):
            tokens = without(tokens, start, end)
        return tokens

    def _unknown_adjectives(self, tokens: Sequence[Token], index: int, reading: Reading) -> list[tuple[int, int]]:
        """Return the spans of adjectives of a known thing that its training captions never have.

        For a model without colors of hats, that is "black" in "black hat".
        """
        for things, looks, topic in self.simple_things:
            if tokens[index].text in things:
                unknown = looks if "sunglasses" in self.vocabulary else looks | {"dark"}
                start, end = looks_before(tokens, index, unknown), predicate_after(tokens, index + 1, unknown)
                spans = [span for span in ((start, index), (index + 1, end)) if span[0] < span[1]]
                if spans:
                    reading.unknown_topics.setdefault(topic, []).append(spelling(tokens[start:end]))
                says_nothing = tokens[index].text in UNIVERSAL_THINGS and start == looks_before(tokens, index, LOOKS)
                return [(start, end)] if spans and says_nothing else spans
        return []

    def _is_object(self, tokens: Sequence[Token], start: int, index: int) -> bool:
        """Whether an unknown word is an object of the person: "brown" in "with a brown parrot" is not a hair color."""
        word = tokens[index].text
        if word in TOPIC_OF or word in FILLERS or self.lexicon.replacement(word) or not ends_phrase(tokens, index + 1):
            return False
        while start and tokens[start - 1].text in DETERMINERS:
            start -= 1
        return bool(start) and tokens[start - 1].text in BEFORE_THINGS

    def _replace_denials(self, tokens: list[Token], reading: Reading) -> list[Token]:
        """Replace denied words by their opposites, and remove denials that the model has no words for."""
        index = 0
        while index < len(tokens):
            text = tokens[index].text
            if text in DENIALS and (opposite := self._opposite(tokens, index)):
                at, words = opposite
                reading.replaced[f"{text} {tokens[at].spelling}"] = " ".join(words)
                denied = tokens[index : at + 1]
                new = [*(each.text for each in denied[1:-1]), *words]
                new = ["with", *new] if text == "without" else new
                tokens = [*tokens[:index], *(Token(word, spelling(denied)) for word in new), *tokens[at + 1 :]]
            elif text in DENIALS and text not in self.vocabulary and not self.lexicon.replacement(text):
                end = end_of_denied(tokens, index + 1)
                reading.unknown_words.setdefault("what is missing", []).append(spelling(tokens[index:end]))
                tokens = without(tokens, index, end)
                index = 0  # words before the denial may be removed too
            else:
                index += 1
        return tokens

    def _opposite(self, tokens: list[Token], denial: int) -> tuple[int, tuple[str, ...]] | None:
        """Return the index of the only word that is denied, and its opposite; None if it has none."""
        indices = range(denial + 1, end_of_denied(tokens, denial + 1))
        denied = [index for index in indices if TOPIC_OF.get(tokens[index].text, "hair") != "hair"]
        if any(tokens[index].text not in MEANINGLESS | TOPIC_OF.keys() for index in indices):
            return None  # not the lady in "no nonsense lady"
        is_bald = any(tokens[index].text in ("bald", "hairless") for index in indices)  # captions deny it
        words = self.lexicon.opposite(tokens[denied[0]].text) if len(denied) == 1 and not is_bald else None
        return (denied[0], words) if words and self.simple_things else None

    def _replace_unknown_words(self, tokens: list[Token], reading: Reading) -> list[Token]:
        """Replace, skip or remove all remaining unknown words."""
        result: list[Token] = []
        removed = []
        for index, token in enumerate(tokens):
            text = token.text
            if text in self.vocabulary or (text == "face" and tokens[index + 1 : index + 2] == [Token("of", "of")]):
                result += [token] if text in self.vocabulary else []
            elif text in SEPARATORS and "," in self.vocabulary:
                result.append(Token(",", token.spelling))
            elif self._is_shade(tokens, index):
                words = self._replacement(tokens, index + 1) or (tokens[index + 1].text,)
                is_known = tokens[index + 1].text in self.vocabulary
                reading.replaced[spelling(tokens[index : index + 2])] = (
                    tokens[index + 1].text if is_known else words[-1]
                )
            elif replacement := self._replacement(tokens, index):
                if text not in FILLERS | LINKS:
                    reading.replaced[token.spelling] = " ".join(replacement)
                result = append_replacement(result, _new_words(result, replacement), token.spelling)
            elif is_word(text) and (text in TOPIC_OF or text not in FILLERS | LINKS):
                removed.append(len(result))
                result.append(token)
                suggestion = self.lexicon.suggestion(text) if text not in TOPIC_OF else None
                topic = "names" if self._is_name(tokens, index) else topic_of(text)
                if topic and not suggestion:
                    self._note_removed(topic, token.spelling, reading)
                else:
                    reading.ignored[token.spelling] = suggestion
        for index in reversed(removed):
            if index + 1 not in removed:  # remove consecutive words at once
                end = index + 1
            if index - 1 not in removed:
                result = without(result, index, end)
        return result

    def _replacement(self, tokens: Sequence[Token], index: int) -> tuple[str, ...] | None:
        """Return known words that replace an unknown one, or None."""
        text, before_hair, ends = tokens[index].text, is_before_hair(tokens, index), ends_phrase(tokens, index + 1)
        if replacement := self.lexicon.replacement(text, before_hair=before_hair, ends_phrase=ends):
            return replacement
        role = next((text[start:] for start in range(3, len(text) - 4) if TOPIC_OF.get(text[start:]) == PERSON), None)
        if role and (replacement := self.lexicon.replacement(role, ends_phrase=ends)):  # schoolteacher
            return replacement
        return self.lexicon.replacement("person", allow_same=True) if self._is_person(tokens, index) else None

    def _is_person(self, tokens: Sequence[Token], index: int) -> bool:
        """Whether a word that is in no table names the person, as in "a professor with glasses"."""
        text, before = tokens[index].text, tokens[:index]
        others = [each.text for each in (*before, *tokens[index + 1 :]) if is_word(each.text)]
        return (
            text.isalpha()
            and (tokens[index].spelling.islower() or not before)
            and text not in TOPIC_OF.keys() | FILLERS | LINKS
            and ends_phrase(tokens, index + 1)
            and not any(each.text in BEFORE_THINGS | DENIALS or each.text == "," for each in before)
            and not any(each.text in ("his", "her", "their", "its", "like", "as") for each in before[-2:])
            and not any(TOPIC_OF.get(word) == PERSON for word in others)
            and any(word in TOPIC_OF for word in others)
            and self.lexicon.suggestion(text) is None
        )

    def _is_name(self, tokens: Sequence[Token], index: int) -> bool:
        """Whether a capitalized word in no table follows a person, as in "my aunt Linda Smith"."""
        token = tokens[index]
        if not (index and token.spelling.istitle()) or token.text in TOPIC_OF.keys() | FILLERS | LINKS:
            return False
        return TOPIC_OF.get(tokens[index - 1].text) == PERSON or self._is_name(tokens, index - 1)

    def _is_unknown_person(self, word: str) -> bool:
        return word not in self.vocabulary and TOPIC_OF.get(word) == PERSON

    def _is_shade(self, tokens: Sequence[Token], index: int) -> bool:
        """Whether a word qualifies the known word after it: "strawberry blonde", "hipster guy", "scruffy beard"."""
        text, after = tokens[index].text, tokens[index + 1].text if index + 1 < len(tokens) else ""
        topic = TOPIC_OF.get(after)
        is_kind = text in SHADES if topic == HAIR_COLOR else topic == PERSON and TOPIC_OF.get(text) == PERSON
        is_kind |= any(
            after in (*each.words, *each.fallbacks) for each in CONCEPTS_OF.get(text, ()) if each.topic in ATTRIBUTES
        )
        is_known = after in self.vocabulary
        if topic == PERSON and self.lexicon.replacement(text) == self.lexicon.replacement("person", allow_same=True):
            is_known |= self._replacement(tokens, index + 1) is not None
        return is_kind and is_known and text.isalpha()

    def _note_removed(self, topic: str, words: str, reading: Reading) -> None:
        removed = reading.unknown_words if topic in self.lexicon.known_topics else reading.unknown_topics
        removed.setdefault(topic, []).append(words)
