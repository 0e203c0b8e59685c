"""The grammar of captions: combines features of a face to sentences."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from t2f.data.captions.phrases import RARELY, choose, synonym


@dataclass(frozen=True)
class Feature:
    """A phrase with its chosen words.

    Attributes:
        slot: Grammatical slot of the words, see `Phrase`.
        words: The words.
        expected: The attributes that they state or entail.
        rank: Position among the adjectives before a noun.
    """

    slot: str
    words: str
    expected: Mapping[str, int]
    rank: int = 0


@dataclass(frozen=True)
class Subject:
    """The subject of a sentence.

    Attributes:
        pronoun: Personal pronoun.
        possessive: Possessive pronoun.
        nouns: Common nouns.
        rare: Rare nouns.
        youths: Rare nouns that entail Young.
        noun: The chosen noun.
    """

    pronoun: str
    possessive: str
    nouns: list[str]
    rare: list[str]
    youths: tuple[str, ...] = ()
    noun: str = ""

    def with_plain_noun(self) -> Subject:
        """Return the subject with "person" in place of "someone", which takes neither article nor adjectives."""
        return replace(self, noun="person") if self.noun in SOMEONE else self


SOMEONE = ("someone", "somebody")
MAN = Subject(
    "he",
    "his",
    ["man", "man", "guy", "gentleman", "male person"],
    ["male", "dude", "bloke", "chap", "fellow", "gent"],
    ("boy", "lad"),
)
WOMAN = Subject("she", "her", ["woman", "woman", "lady", "female person"], ["female", "gal"], ("girl",))
PERSON = Subject("they", "their", ["person", "person", "someone"], ["face", "individual", "human", "somebody"])

DENIALS = ("no ", "not ", "does not ", "do not ", "has not ", "have not ")
PLURALS = {"is": "are", "has": "have", "does": "do", "man": "men", "woman": "women"}
PLURALS |= {"gentleman": "gentlemen", "person": "people", "lady": "ladies"}
FRAMES = (
    "a portrait of|the face of|a picture of|this is|there is|we see"
    "||a photo of|a photograph of|an image of|a drawing of|draw|show me|imagine"
)


def _denials_last(words: Sequence[str]) -> list[str]:
    return sorted(words, key=lambda word: word.startswith(DENIALS))


def joined(words: Sequence[str], conjunction: str = "and") -> str:
    """Join words as "a, b and c", with denials last: "no glasses and black hair" could be read as neither."""
    words = _denials_last(words)
    return f" {conjunction} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def words_of(features: Sequence[Feature], *slots: str) -> list[str]:
    """Return the words of the features in the given slots, ordered by slot."""
    return [feature.words for slot in slots for feature in features if feature.slot == slot]


def _noun(subject: Subject, features: Sequence[Feature]) -> tuple[str, list[Feature]]:
    """Return the noun with up to two adjectives, and the remaining features."""
    adjectives = [feature for feature in features if feature.slot == "adjective"]
    before = [] if subject.noun in SOMEONE else sorted(adjectives[:2], key=lambda feature: feature.rank)
    rest = [feature for feature in features if feature not in before]
    return " ".join([*words_of(before, "adjective"), subject.noun]), rest


def _a(noun: str) -> str:
    if noun in SOMEONE:
        return noun
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _without_articles(words: str) -> str:
    return re.sub(r"\ban? (?!lot|pair)", "", words)


def _noun_phrase(subject: Subject, features: Sequence[Feature], rng: random.Random) -> str:
    """Example: a smiling woman with long red hair, wearing glasses."""
    noun, rest = _noun(subject, features)
    have, wear = words_of(rest, "have"), words_of(rest, "wear")
    if wear and rng.random() < 0.5:
        parts = [f"with {joined(have)}"] if have else []
        parts.insert(rng.randint(0, len(parts)), f"{choose(['wearing'], ['in'], rng)} {joined(wear)}")
    else:
        things = [feature.words for feature in rest if feature.slot in ("have", "wear")]
        parts = [f"with {joined(things)}"] if things else []
    if lack := words_of(rest, "lack"):
        without = f"without {joined(lack, 'or')}"
        if len(lack) == 2 and rng.random() < RARELY:
            without = f"with neither {lack[0]} nor {lack[1]}"
        parts[-1:] = [f"{parts[-1]} but {without}"] if parts else [without]
    if be := words_of(rest, "adjective", "be"):
        parts.append(f"who is {joined(be)}")
    if verbs := words_of(rest, "verb"):
        parts.append(f"who {joined(verbs)}")
    return " ".join([_a(noun), *([", ".join(parts)] if parts else [])])


def _predicates(features: Sequence[Feature], rng: random.Random) -> list[str]:
    """Example: ["has long red hair", "wears glasses"], in random order."""
    objects = {
        "is": joined(words_of(features, "adjective", "be")),
        "has": joined(words_of(features, "have")),
        "wears": joined(words_of(features, "wear")),
        choose(["does not have"], ["has not got"], rng): joined(words_of(features, "lack"), "or"),
    }
    predicates = [f"{verb} {words}" for verb, words in objects.items() if words] + words_of(features, "verb")
    rng.shuffle(predicates)
    return predicates


def _clause(who: str, predicates: Sequence[str]) -> str:
    """Example: she has long red hair and wears glasses."""
    return f"{who} {joined([_plural_verb(each) if who == 'they' else each for each in predicates])}"


def _plural_verb(predicate: str) -> str:
    verb, _, rest = predicate.partition(" ")
    return f"{PLURALS.get(verb) or verb.removesuffix('s')} {rest}".rstrip()


def _plural_noun(noun: str) -> str:
    """Return the plural of a noun phrase."""
    before, _, last = noun.rpartition(" ")
    return f"{before} {PLURALS.get(last, f'{last}s')}".lstrip()


def _clauses(who: str, subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """Example: ["who has long red hair and is young", "she wears glasses"]."""
    predicates = _predicates(features, rng)
    k = rng.randint(1, 2)
    first, rest = predicates[:k], predicates[k:]
    return [_clause(who, first), *([_clause(subject.pronoun, rest)] if rest else [])]


def _bare(features: Sequence[Feature]) -> list[str]:
    """Example: ["long red hair", "glasses", "no hat"], without articles and with denials last."""
    things = [(feature.slot, _without_articles(feature.words)) for feature in features]
    return _denials_last([f"no {words.removeprefix('any ')}" if slot == "lack" else words for slot, words in things])


# Each function below writes one or two sentences, without capital letters and full stops. Docstrings are examples.


def _plain(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """A smiling woman with long red hair and glasses."""
    return [_noun_phrase(subject, features, rng)]


def _framed(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """A portrait of a smiling woman with long red hair and glasses."""
    return [f"{synonym(FRAMES, rng)} {_noun_phrase(subject, features, rng)}"]


def _statement(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """The man has black hair and a mustache. He wears a hat."""
    before = features[: rng.randint(0, len(features) - 1)]  # the verb needs at least one feature
    noun, rest = _noun(subject.with_plain_noun(), before)
    return _clauses(f"{rng.choice(('the', 'this'))} {noun}", subject, [*rest, *features[len(before) :]], rng)


def _pronoun(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """She is pale and has long red hair."""
    return _clauses(subject.pronoun, subject, features, rng)


def _terse(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """Smiling woman, long red hair, glasses, no hat. Or without the commas."""
    noun, rest = _noun(subject.with_plain_noun(), features)
    return [rng.choice((", ", " ")).join([noun, *_bare(rest)])]


def _two_sentences(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """A smiling woman with glasses. She has long red hair."""
    k = rng.randint(0, len(features) - 1)
    rest = _predicates(features[k:], rng)
    return [_noun_phrase(subject, features[:k], rng), _clause(subject.pronoun, rest)]


def _relative_clause(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """A smiling woman who has long red hair and wears glasses."""
    noun, rest = _noun(subject, features[:-1])
    return [_clause(f"{_a(noun)} who", _predicates([*rest, features[-1]], rng))]


def _without_article(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """Smiling man with beard and hat."""
    return [_without_articles(_noun_phrase(subject.with_plain_noun(), features, rng))]


def _plural(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """Smiling men with beards."""
    noun, rest = _noun(subject.with_plain_noun(), features)
    things = [re.sub(r"^an? (?!.* of )(.+)$", r"\1s", words) for words in words_of(rest, "have", "wear")]
    phrases = [f"with {joined(things)}"] if things else []
    if lack := words_of(rest, "lack"):
        phrases.append(f"without {joined(lack, 'or')}")
    if predicates := _predicates([each for each in rest if each.slot in ("adjective", "be", "verb")], rng):
        phrases.append(_clause("they", predicates).replace("they", "who", 1))
    return [" ".join([_plural_noun(noun), *phrases])]


def _features_only(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """Long red hair, smiling, glasses. Or: has long red hair and wears glasses."""
    if rng.random() < 0.5:
        return [joined(_predicates(features, rng))]
    return [", ".join(_bare(features))]


@dataclass(frozen=True)
class Shape:
    """The sentence structure of a caption.

    Attributes:
        write: Writes the sentences.
        needs_features: Whether it needs at least one feature.
        names_subject: Whether the caption mentions the subject.
        is_plural: Whether the subject is plural.
    """

    write: Callable[[Subject, Sequence[Feature], random.Random], list[str]]
    needs_features: bool = True
    names_subject: bool = True
    is_plural: bool = False


USUAL = [
    Shape(_plain, needs_features=False),
    Shape(_framed, needs_features=False),
    Shape(_terse),
    Shape(_statement),
    Shape(_pronoun),
    Shape(_two_sentences),
    Shape(_relative_clause),
]
RARE = [
    Shape(_without_article, needs_features=False),
    Shape(_plural, needs_features=False, is_plural=True),
    Shape(_features_only, names_subject=False),
]


def choose_shape(has_features: bool, rng: random.Random) -> Shape:
    """Choose a sentence structure for a caption with or without features."""
    usual, rare = ([each for each in shapes if has_features or not each.needs_features] for shapes in (USUAL, RARE))
    return choose(usual, rare, rng)
