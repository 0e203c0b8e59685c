"""What any words mean in those of one model, by the tables of `words`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from difflib import SequenceMatcher

from t2f.text.spelling import corrected, forms
from t2f.text.synonyms import CONCEPTS, FILLERS, LINKS, TOPICS, Concept

ANYONE, AGE, HAIR_COLOUR, SKIN = "man, woman or anyone", "age", "hair colour", "skin"
LONGEST_HINTED = 30  # letters

CONCEPTS_OF: dict[str, list[Concept]] = defaultdict(list)
for _concept in CONCEPTS:
    for _word in _concept.words:
        CONCEPTS_OF[_word.removeprefix("*")].append(_concept)
IDIOMS = {word.removeprefix("*") for concept in CONCEPTS for word in concept.words if word.startswith("*")}
"""Phrases that mean another thing than their words: a straight face is no straight hair."""
PHRASES = IDIOMS | {
    phrase
    for concept in CONCEPTS
    for phrase in concept.words
    if concept.topic and " " in phrase and not phrase.startswith("*")
    if phrase in concept.kinds or phrase.split()[0] not in CONCEPTS_OF.keys() | LINKS
}
"""What several words say together, and none of them alone."""
TOPIC_OF = {word: topic for topic, words in reversed(TOPICS.items()) for word in words}
TOPIC_OF |= {phrase: CONCEPTS_OF[phrase][0].topic for phrase in PHRASES}
FAMILIAR = dict.fromkeys([*TOPIC_OF, *(word for word in CONCEPTS_OF if " " not in word), *FILLERS, *LINKS])
"""All words of the tables."""


class Lexicon:
    """The words of one model, and what others mean in them."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self.vocabulary = vocabulary
        self.by_number = sorted(vocabulary, key=lambda word: vocabulary[word])  # the most frequent first
        self.seen = {topic for topic, words in TOPICS.items() if any(each in vocabulary for each in words)}

    def meant(
        self, word: str, *, of_hair: bool = False, ends: bool = True, itself: bool = False
    ) -> tuple[str, ...] | None:
        """Known words for the same as a word or phrase, or for its kind.

        of_hair   whether hair follows: a white man's hair may be black
        ends      whether a phrase ends there: "a redhead" is a person, and "a redhead girl" is not
        itself    whether the word, where it is known, will do
        """
        own = word in TOPIC_OF and word not in CONCEPTS_OF  # a German is no man for its ending
        for form in (word,) if own else forms(word):
            concepts = CONCEPTS_OF.get(form, [])
            if {HAIR_COLOUR, SKIN} <= {concept.topic for concept in concepts}:
                concepts = [each for each in concepts if each.topic == (HAIR_COLOUR if of_hair else SKIN)]
            if not ends:  # a teen girl is young
                concepts = [each for each in concepts if each.topic != ANYONE] or concepts
            for meant in (form, *(each for concept in concepts for each in concept.stand_ins(form))):
                words = tuple(meant.split())
                is_known = all(each in self.vocabulary for each in words)
                if is_known and (meant != word or itself) and (ends or "with" not in words):
                    return words
        return None

    def corrected(self, word: str) -> str | None:
        """The word, of the model's or any other that is familiar, of which one that is not is a slip."""
        if not word.isalpha() or any(form in self.vocabulary or form in FAMILIAR for form in forms(word)):
            return None
        return corrected(word, [*self.by_number, *FAMILIAR])

    def nearest(self, word: str) -> str | None:
        """The known word that is spelt most like this one, if one nearly is: "woman" for "wommann"."""
        if not 4 <= len(word) <= LONGEST_HINTED:
            return None
        near = [each for each in self.vocabulary if each[0] == word[0] and abs(len(each) - len(word)) <= 2]
        likeness = {each: SequenceMatcher(None, word, each).ratio() for each in near}
        best = max(near, key=lambda each: likeness[each], default=None)
        return best if best is not None and likeness[best] >= 0.8 else None
