"""Attributes -> varied English sentences, for faces that come with attributes and without words.

Every phrase is a `Claim`: some words, and the attributes that they state or entail. A claim may be
made only if it is true of the face in all of those, so a caption cannot contradict the attributes,
however noisy they are: a face labelled bald and black-haired is called bald, never black-haired.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from t2f.data.captions.grammar import MAN, PERSON, WOMAN, Feature, Subject, choose_shape, joined, words_of
from t2f.data.captions.phrases import (
    CALLED,
    CLAIMS,
    COLORED,
    COLORS,
    DARK,
    FACIAL_HAIR,
    LIGHT,
    RARELY,
    SELDOM,
    USUALLY,
    Claim,
    choose,
    synonym,
)

# Raise it with every change to the captions, or to the drawings of `avatars`, so that old caches are left alone.
RULES = 4

MOST = 7  # features in one caption


@dataclass(frozen=True)
class Caption:
    """A text, and what it asks for: attribute -> 1 or 0, for those that it states or entails."""

    text: str
    expected: dict[str, int]


def describe(attributes: Mapping[str, int], rng: random.Random) -> Caption:
    """One or two sentences about a face, all of their variety drawn from `rng`.

    `attributes` are named as CelebA names them (and Red_Hair, Long_Hair, Sunglasses, Dark_Skin), any
    subset: 1 present, 0 absent, -1 cannot be told, which is never mentioned. What the caption asks is
    a part of the mapping.
    """
    gender = attributes.get("Male", -1)
    features = list(_features(attributes, rng, certain=False))
    if gender != -1 and (not features or rng.random() < 0.85):
        kind, expected = (WOMAN, MAN)[gender], {"Male": gender}
    else:
        kind, expected = PERSON, {}
    if not features and kind is PERSON:
        features = list(_features(attributes, rng, certain=True))[:1]
    subject, entailed = _subject(kind, attributes, rng)
    expected |= entailed
    if (noun := next((each for each in features if each.slot == "noun"), None)) is not None:
        if kind is WOMAN:  # custom calls no man a brunette
            subject = replace(subject, noun=noun.words)
            expected = {"Male": gender}  # and no girl
            features.remove(noun)
        else:
            features[features.index(noun)] = replace(noun, slot="have", words=_hair_of(noun, rng))
        expected |= noun.expected
    for feature in features:
        expected |= feature.expected
    of_the_face = [feature for feature in features if feature.slot != "sentence"]
    own = words_of(features, "sentence")
    shape = choose_shape(bool(of_the_face), rng)
    sentences = shape.write(subject, of_the_face, rng)
    if not shape.tells_whom:
        expected = {name: value for feature in of_the_face for name, value in feature.expected.items()}
        own = []
    elif not of_the_face and any("{her}" in each for each in own) and rng.random() < USUALLY:
        sentences = []  # "Her hair is red" tells whom
    her = PERSON.possessive if shape.of_many else subject.possessive
    sentences += [each.format(her=her) for each in own]
    return Caption(
        text=" ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences),
        expected={name: value for name, value in expected.items() if name in attributes},
    )


def _subject(kind: Subject, attributes: Mapping[str, int], rng: random.Random) -> tuple[Subject, dict[str, int]]:
    """The subject under one of its nouns, and what that entails: who is known not to be young is no boy."""
    young = attributes.get("Young", 1) == 1
    noun = choose(kind.nouns, [*kind.rare, *(kind.youths if young else ())], rng)
    return replace(kind, noun=noun), {"Young": 1} if noun in kind.youths else {}


# --- what to say -----------------------------------------------------------------------------------------------------


def _features(attributes: Mapping[str, int], rng: random.Random, certain: bool) -> Iterator[Feature]:
    """True features in random order, at most `MOST`; each by its chance, or `certain`ly."""
    claims = [replace(claim, chance=1.0) if certain else claim for claim in (*CLAIMS, *FACIAL_HAIR)]
    hair = _hair(attributes, rng, certain)
    ranked = [(rank, claim) for rank, claim in enumerate([*claims, *hair]) if _is_true(claim, attributes)]
    rng.shuffle(ranked)
    color = _color(attributes) if attributes.get("Bald", 0) != 0 else None
    parts: set[str] = set()
    expected: dict[str, int] = {}
    said = 0
    for rank, claim in ranked:
        if (
            said == MOST
            or rng.random() >= claim.chance
            or claim.part in parts
            or claim.expected.items() <= expected.items()
        ):
            continue
        slot, words = claim.choose(rng)
        claimed = dict(claim.expected)
        if "{color}" in words:
            if color and rng.random() < USUALLY:
                slot, words = _tinted(slot, words, synonym(COLORS[color], rng), rng)
                claimed |= _only(color)
                color = None  # once is enough
            else:
                words = words.format(color="")
        said += 1
        parts |= {claim.part} - {""}
        expected |= claimed
        yield Feature(slot, words, claimed, rank)


def _is_true(claim: Claim, attributes: Mapping[str, int]) -> bool:
    """Whether the face is known to have all that the claim asks. What it entails may be missing in the mapping."""
    subject = next(iter(claim.expected))
    if subject not in attributes or (claim.men_only and attributes.get("Male") != 1):
        return False
    return all(attributes.get(name, value) == value for name, value in claim.expected.items())


def _only(color: str) -> dict[str, int]:
    """This hair colour and no other."""
    return {name: int(name == color) for name in COLORS}


def _color(attributes: Mapping[str, int]) -> str | None:
    """The one hair colour of a face, or None if it has none or several."""
    return next((name for name in COLORS if _is_true(Claim({name: 1, **_only(name)}), attributes)), None)


def _hair_of(noun: Feature, rng: random.Random) -> str:
    """ "curly blond hair" for "curly-haired blonde"."""
    shade = synonym(next(words for name, words in COLORS.items() if noun.expected.get(name)), rng)
    return f"{noun.words.rpartition(' ')[0].removesuffix('-haired')} {shade} hair".lstrip()


def _tinted(slot: str, words: str, shade: str, rng: random.Random) -> tuple[str, str]:
    """Facial hair with its colour: "a red beard", and rarely "her beard is red"."""
    if rng.random() < RARELY / 2:
        return "sentence", f"{{her}} {words.rpartition('}')[2]} is {shade}"
    return slot, re.sub(r"\ba (?=[aeiou])", "an ", words.format(color=f"{shade} "))


def _hair(attributes: Mapping[str, int], rng: random.Random, certain: bool) -> list[Claim]:
    """Length, texture and colour as one claim, "long wavy red hair", each part of it left out at times."""
    parts = [
        ("long||very long", {"Long_Hair": 1}, USUALLY),
        ("short||very short", {"Long_Hair": 0}, SELDOM),
        ("wavy|curly||frizzy", {"Wavy_Hair": 1, "Straight_Hair": 0}, USUALLY),
        ("straight", {"Straight_Hair": 1, "Wavy_Hair": 0}, USUALLY),
    ]
    if color := _color(attributes):
        if color in DARK and rng.random() < RARELY / 2:
            parts.append(("dark", dict.fromkeys(LIGHT, 0), USUALLY))
        else:
            parts.append((COLORS[color], {color: 1, **_only(color)}, USUALLY))
    words: list[str] = []
    expected: dict[str, int] = {}
    for synonyms, claims, chance in parts:
        if _is_true(Claim({**claims, "Bald": 0}), attributes) and (certain or rng.random() < chance):
            words.append(synonym(synonyms, rng))
            expected |= claims
    if not words:
        return []
    kinds = " ".join(words)
    loose = [f"hair that is {joined(words)}"]
    if len(words) > 1:
        others = rng.sample(words, len(words))
        loose += [f"{' '.join(others)} hair", f"{', '.join(others)} hair", f"{joined(others)} hair"]
    shade = color if len(words) <= 2 and color is not None and expected.get(color) else ""
    kind = f"{words[0]}-haired " if len(words) > 1 else ""  # "curly-haired blonde"
    colored = "|".join(f"{kind}{word}" for word in COLORED.get(shade, "").split("|") if word)
    return [
        Claim(
            {**expected, "Bald": 0},
            adjective=f"{'' if kind else f'{kinds}-haired'}||{colored}",
            have=f"{kinds} hair||{'|'.join(loose)}",
            noun=f"||{kind}{CALLED[shade]}" if shade in CALLED else "",
            sentence=f"||{{her}} hair is {joined(words)}",
            chance=1.0,
            part="hair",
        )
    ]
