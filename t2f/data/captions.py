"""Attributes -> varied English sentences, for faces that come with attributes and without words.

Every phrase is a `Claim`: some words, and the attributes that they state or entail. A claim may be
made only if it is true of the face in all of those, so a caption cannot contradict the attributes,
however noisy they are: a face labelled bald and black-haired is called bald, never black-haired.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from t2f.data.phrases import CLAIMS, COLOURS, FACIAL_HAIR, SELDOM, USUALLY, Claim

# Raise it with every change to the captions, or to the drawings of `avatars`, so that old caches are left alone.
RULES = 3

MOST = 7  # features in one caption


@dataclass(frozen=True)
class Caption:
    """A text, and what it asks for: attribute -> 1 or 0, for those that it states or entails."""

    text: str
    asked: dict[str, int]


@dataclass(frozen=True)
class Feature:
    """A claim put into words."""

    slot: str
    words: str
    asked: Mapping[str, int]
    rank: int = 0  # its place among the adjectives before a noun


def describe(attributes: Mapping[str, int], rng: random.Random) -> Caption:
    """One or two sentences about a face, all of their variety drawn from `rng`.

    `attributes` are named as CelebA names them (and Red_Hair, Long_Hair, Sunglasses, Dark_Skin), any
    subset: 1 present, 0 absent, -1 cannot be told, which is never mentioned. What the caption asks is
    a part of the mapping.
    """
    gender = attributes.get("Male", -1)
    features = list(_features(attributes, rng, certain=False))
    if gender != -1 and (not features or rng.random() < 0.85):
        subject, asked = (WOMAN, MAN)[gender], {"Male": gender}
    else:
        subject, asked = PERSON, {}
    if not features and subject is PERSON:
        features = list(_features(attributes, rng, certain=True))[:1]
    for feature in features:
        asked |= feature.asked
    of_the_face = [feature for feature in features if feature.slot != "sentence"]
    shape = rng.choice(SHAPES if of_the_face else SHAPES[:2])
    sentences = [*shape(subject, of_the_face, rng), *_words(features, "sentence")]
    return Caption(
        text=" ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences),
        asked={name: value for name, value in asked.items() if name in attributes},
    )


# --- what to say -----------------------------------------------------------------------------------------------------


def _features(attributes: Mapping[str, int], rng: random.Random, certain: bool) -> Iterator[Feature]:
    """True features in random order, at most `MOST`; each by its chance, or `certain`ly."""
    claims = [replace(claim, chance=1.0) if certain else claim for claim in (*CLAIMS, *FACIAL_HAIR)]
    hair = _hair(attributes, rng, certain)
    ranked = [(rank, claim) for rank, claim in enumerate([*claims, *hair]) if _is_true(claim, attributes)]
    rng.shuffle(ranked)
    colour = _colour(attributes) if attributes.get("Bald", 0) != 0 else None
    parts: set[str] = set()
    asked: dict[str, int] = {}
    said = 0
    for rank, claim in ranked:
        if said == MOST or rng.random() >= claim.chance or claim.part in parts or claim.asked.items() <= asked.items():
            continue
        slot, words = rng.choice(claim.options())
        claimed = dict(claim.asked)
        if "{colour}" in words:
            if colour and rng.random() < USUALLY:
                words = words.format(colour=rng.choice(COLOURS[colour].split("|")) + " ")
                claimed |= _only(colour)
                colour = None  # once is enough
            else:
                words = words.format(colour="")
        said += 1
        parts |= {claim.part} - {""}
        asked |= claimed
        yield Feature(slot, words, claimed, rank)


def _is_true(claim: Claim, attributes: Mapping[str, int]) -> bool:
    """Whether the face is known to have all that the claim asks. What it entails may be missing in the mapping."""
    subject = next(iter(claim.asked))
    if subject not in attributes or (claim.men_only and attributes.get("Male") != 1):
        return False
    return all(attributes.get(name, value) == value for name, value in claim.asked.items())


def _only(colour: str) -> dict[str, int]:
    """This hair colour and no other."""
    return {name: int(name == colour) for name in COLOURS}


def _colour(attributes: Mapping[str, int]) -> str | None:
    """The one hair colour of a face, or None if it has none or several."""
    return next((name for name in COLOURS if _is_true(Claim({name: 1, **_only(name)}), attributes)), None)


def _hair(attributes: Mapping[str, int], rng: random.Random, certain: bool) -> list[Claim]:
    """Length, texture and colour as one claim, "long wavy red hair", each part of it left out at times."""
    parts = [
        ("long", {"Long_Hair": 1}, USUALLY),
        ("short", {"Long_Hair": 0}, SELDOM),
        ("wavy|curly", {"Wavy_Hair": 1, "Straight_Hair": 0}, USUALLY),
        ("straight", {"Straight_Hair": 1, "Wavy_Hair": 0}, USUALLY),
    ]
    if colour := _colour(attributes):
        parts.append((COLOURS[colour], {colour: 1, **_only(colour)}, USUALLY))
    words: list[str] = []
    asked: dict[str, int] = {}
    for synonyms, claims, chance in parts:
        if _is_true(Claim({**claims, "Bald": 0}), attributes) and (certain or rng.random() < chance):
            words.append(rng.choice(synonyms.split("|")))
            asked |= claims
    if not words:
        return []
    haired = f"{words[0]}-haired" if len(words) == 1 else ""
    return [Claim({**asked, "Bald": 0}, adjective=haired, have=f"{' '.join(words)} hair", chance=1.0)]


# --- how to say it ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """Whom the sentence is about."""

    nouns: tuple[str, ...]
    pronoun: str

    def named(self) -> Subject:
        """The subject where "someone" cannot stand."""
        return replace(self, nouns=tuple(noun for noun in self.nouns if noun != "someone"))


MAN = Subject(("man", "man", "guy", "gentleman", "male person"), "he")
WOMAN = Subject(("woman", "woman", "lady", "female person"), "she")
PERSON = Subject(("person", "person", "someone"), "they")


def _denials_last(words: Sequence[str]) -> list[str]:
    return sorted(words, key=lambda word: word.startswith(("no ", "not ", "does not ", "do not ")))


def _list(words: Sequence[str], conjunction: str = "and") -> str:
    """a, b and c. What is denied comes last: "no glasses and black hair" could be heard as neither."""
    words = _denials_last(words)
    return f" {conjunction} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _words(features: Sequence[Feature], *slots: str) -> list[str]:
    return [feature.words for slot in slots for feature in features if feature.slot == slot]


def _noun(subject: Subject, features: Sequence[Feature], rng: random.Random) -> tuple[str, list[Feature]]:
    """The noun, with up to two adjectives before it, and the features that are left to say."""
    noun = rng.choice(subject.nouns)
    adjectives = [feature for feature in features if feature.slot == "adjective"]
    before = [] if noun == "someone" else sorted(adjectives[:2], key=lambda feature: feature.rank)
    return " ".join([*_words(before, "adjective"), noun]), [feature for feature in features if feature not in before]


def _a(noun: str) -> str:
    if noun == "someone":
        return noun
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _noun_phrase(subject: Subject, features: Sequence[Feature], rng: random.Random) -> str:
    """a smiling woman with long red hair, wearing glasses"""
    noun, rest = _noun(subject, features, rng)
    have, wear = _words(rest, "have"), _words(rest, "wear")
    if wear and rng.random() < 0.5:
        parts = [f"with {_list(have)}"] if have else []
        parts.insert(rng.randint(0, len(parts)), f"wearing {_list(wear)}")
    else:
        things = [feature.words for feature in rest if feature.slot in ("have", "wear")]
        parts = [f"with {_list(things)}"] if things else []
    if lack := _words(rest, "lack"):
        without = f"without {_list(lack, 'or')}"
        parts[-1:] = [f"{parts[-1]} but {without}"] if parts else [without]
    if be := _words(rest, "adjective", "be"):
        parts.append(f"who is {_list(be)}")
    return " ".join([_a(noun), *([", ".join(parts)] if parts else [])])


def _predicates(features: Sequence[Feature], rng: random.Random) -> list[tuple[str, str]]:
    """[("has", "long red hair"), ("wears", "glasses")] in random order."""
    objects = {
        "is": _list(_words(features, "adjective", "be")),
        "has": _list(_words(features, "have")),
        "wears": _list(_words(features, "wear")),
        "does not have": _list(_words(features, "lack"), "or"),
    }
    predicates = [(verb, words) for verb, words in objects.items() if words]
    rng.shuffle(predicates)
    return predicates


def _clause(who: str, predicates: Sequence[tuple[str, str]]) -> str:
    """she has long red hair and wears glasses"""
    plural = {"is": "are", "has": "have", "wears": "wear", "does not have": "do not have"}
    phrases = [f"{plural[verb] if who == 'they' else verb} {words}" for verb, words in predicates]
    return f"{who} {_list(phrases)}"


def _clauses(who: str, subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """["who has long red hair and is young", "she wears glasses"]"""
    predicates = _predicates(features, rng)
    k = rng.randint(1, 2)
    first, rest = predicates[:k], predicates[k:]
    return [_clause(who, first), *([_clause(subject.pronoun, rest)] if rest else [])]


# A shape puts a subject and its features into one or two sentences, still without capital and full stop.


def _plain(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """A smiling woman with long red hair and glasses."""
    return [_noun_phrase(subject, features, rng)]


def _framed(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """A portrait of a smiling woman with long red hair and glasses."""
    frames = ("a portrait of", "the face of", "a picture of", "this is", "there is", "we see")
    return [f"{rng.choice(frames)} {_noun_phrase(subject, features, rng)}"]


def _told(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """The man has black hair and a mustache. He wears a hat."""
    before = features[: rng.randint(0, len(features) - 1)]  # at least one feature is left for the verb
    noun, rest = _noun(subject.named(), before, rng)
    return _clauses(f"{rng.choice(('the', 'this'))} {noun}", subject, [*rest, *features[len(before) :]], rng)


def _by_pronoun(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """She is pale and has long red hair."""
    return _clauses(subject.pronoun, subject, features, rng)


def _terse(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """Smiling woman, long red hair, glasses, no hat. Or without the commas."""
    noun, rest = _noun(subject.named(), features, rng)
    bare = [re.sub(r"^an? (?!lot)", "", feature.words) for feature in rest]
    things = [f"no {words}" if feature.slot == "lack" else words for words, feature in zip(bare, rest, strict=True)]
    return [rng.choice((", ", " ")).join([noun, *_denials_last(things)])]


def _in_two(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """A smiling woman with glasses. She has long red hair."""
    k = rng.randint(0, len(features) - 1)
    rest = _predicates(features[k:], rng)
    return [_noun_phrase(subject, features[:k], rng), _clause(subject.pronoun, rest)]


def _who(subject: Subject, features: Sequence[Feature], rng: random.Random) -> list[str]:
    """A smiling woman who has long red hair and wears glasses."""
    noun, rest = _noun(subject, features[:-1], rng)
    return [_clause(f"{_a(noun)} who", _predicates([*rest, features[-1]], rng))]


# The first two can also stand without a feature.
SHAPES: tuple[Callable[[Subject, Sequence[Feature], random.Random], list[str]], ...] = (
    _plain,
    _framed,
    _terse,
    _told,
    _by_pronoun,
    _in_two,
    _who,
)
