"""Looks up words in the tables of `synonyms` and maps unknown words to the vocabulary of a model."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from difflib import SequenceMatcher

from t2f.text.spelling import corrected, forms
from t2f.text.synonyms import CONCEPTS, FILLERS, LINKS, NUMBERS, SHORTHAND, TOPICS, Concept

PERSON, AGE, HAIR_COLOR, SKIN = "man, woman or anyone", "age", "hair color", "skin"
MAX_SUGGESTION_LENGTH = 30  # letters
OPPOSITES = {"man": "woman", "long": "short", "curly": "straight", "young": "older"}
OPPOSITES |= {opposite: word for word, opposite in OPPOSITES.items()}
"""Words that captions of attributes never negate, because there is a word for the opposite."""

CONCEPTS_OF: dict[str, list[Concept]] = defaultdict(list)
"""The concepts of each word or phrase."""
for _concept in CONCEPTS:
    for _word in _concept.words:
        CONCEPTS_OF[_word.removeprefix("*")].append(_concept)
IDIOMS = {word.removeprefix("*") for concept in CONCEPTS for word in concept.words if word.startswith("*")}
"""Phrases whose meaning differs from that of their words, such as "a straight face"."""
PHRASES = IDIOMS | {
    phrase
    for concept in CONCEPTS
    for phrase in concept.words
    if concept.topic and " " in phrase and not phrase.startswith("*")
    if phrase in concept.kinds or phrase.split()[0] not in CONCEPTS_OF.keys() | LINKS
}
"""Phrases with a meaning that none of their words has."""
TOPIC_OF = {word: topic for topic, words in reversed(TOPICS.items()) for word in words}
TOPIC_OF |= {phrase: CONCEPTS_OF[phrase][0].topic for phrase in PHRASES}
TABLE_WORDS = dict.fromkeys([*TOPIC_OF, *(word for word in CONCEPTS_OF if " " not in word), *FILLERS, *LINKS])
"""All single words of the tables, and the phrases with a topic."""
SPELLED = {part for word in [*TABLE_WORDS, *CONCEPTS_OF] for part in word.split()} | NUMBERS.keys() | SHORTHAND.keys()
"""Words that are no misspellings of others."""


ENDINGS = {
    r"[fv]?\d\w*": "numbers",
    r"\w{3,}ing": "pose",
    r"\w{3,}(ed|ly|ish|ous|ful|less|able|ible|ive|ical|esque|like|ness)": "character",
}
"""Topics of words that are in no table, by their form: "35mm", "peering", "waxed", "adventurous"."""


def topic_of(word: str) -> str | None:
    """Return the topic of a word from the tables or, if it is in none, from its ending; None if it has none."""
    return TOPIC_OF.get(word) or next((topic for form, topic in ENDINGS.items() if re.fullmatch(form, word)), None)


class Lexicon:
    """The vocabulary of one model, and the replacements of unknown words in it.

    Args:
        vocabulary: Token ids by word. The most frequent words have the lowest ids.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self.vocabulary = vocabulary
        self.by_frequency = sorted(vocabulary, key=lambda word: vocabulary[word])
        self.by_letter: dict[str, list[str]] = defaultdict(list)
        for word in [*self.by_frequency, *TABLE_WORDS]:
            self.by_letter[word[0]].append(word)
        self.known_topics = {topic for topic, words in TOPICS.items() if any(word in vocabulary for word in words)}

    def replacement(
        self, word: str, *, before_hair: bool = False, ends_phrase: bool = True, allow_same: bool = False
    ) -> tuple[str, ...] | None:
        """Return known words that mean the same as a word or phrase, or something broader: "hat" for "fedora".

        Args:
            word: The word or phrase.
            before_hair: Whether the word describes hair that follows. "white" before "man" is a skin color.
            ends_phrase: Whether a noun phrase ends with the word. "a redhead" is a person; in "a redhead girl" the
                word describes hair.
            allow_same: Whether the word itself may be returned, if it is known.

        Returns:
            The replacement as single words; None if the vocabulary has none.
        """
        # A word with its own topic is not split into forms: "german" does not contain "man".
        has_own_topic = word in TOPIC_OF and word not in CONCEPTS_OF
        for form in (word,) if has_own_topic else forms(word):
            concepts = CONCEPTS_OF.get(form, [])
            if {HAIR_COLOR, SKIN} <= {concept.topic for concept in concepts}:
                concepts = [each for each in concepts if each.topic == (HAIR_COLOR if before_hair else SKIN)]
            if not ends_phrase:  # "teen" in "a teen girl" is an age
                concepts = [each for each in concepts if each.topic != PERSON] or concepts
            for candidate in (form, *(each for concept in concepts for each in concept.replacements(form))):
                words = tuple(candidate.split())
                is_known = all(each in self.vocabulary for each in words)
                if is_known and (candidate != word or allow_same) and (ends_phrase or "with" not in words):
                    return words
        return None

    def opposite(self, word: str) -> tuple[str, ...] | None:
        """Return known words for the opposite of a word; None if there are none."""
        for concept in CONCEPTS_OF.get(word, ()):
            for form in (form for group in concept.forms for form in group if form in OPPOSITES):
                return self.replacement(OPPOSITES[form], allow_same=True)
        return None

    def corrected(self, word: str) -> str | None:
        """Return the word of the vocabulary or the tables that an unknown word misspells; None if there is none."""
        if not word.isalpha() or any(form in self.vocabulary or form in SPELLED for form in forms(word)):
            return None
        return corrected(word, self.by_letter[word[0]])

    def suggestion(self, word: str) -> str | None:
        """Return the known word with the most similar spelling, as "woman" for "wommann"; None if none is close."""
        if not 4 <= len(word) <= MAX_SUGGESTION_LENGTH:
            return None
        candidates = [each for each in self.vocabulary if each[0] == word[0] and abs(len(each) - len(word)) <= 2]
        similarity = {each: SequenceMatcher(None, word, each).ratio() for each in candidates}
        best = max(candidates, key=lambda each: similarity[each], default=None)
        return best if best is not None and similarity[best] >= 0.8 else None
