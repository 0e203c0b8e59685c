"""Generates varied English captions from the attributes of a face.

A caption consists of phrases. Each `Phrase` lists the attributes that it states or entails, and is used only if all of
them agree with the labels. Captions therefore never contradict the labels, even noisy ones: a face labeled both bald
and black-haired is described as bald, never as black-haired.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from t2f.data.captions.grammar import MAN, PERSON, WOMAN, Feature, Subject, choose_shape, joined, words_of
from t2f.data.captions.phrases import (
    CALLED,
    COLORED,
    COLORS,
    DARK,
    FACIAL_HAIR_PHRASES,
    LIGHT,
    PHRASES,
    RARELY,
    SELDOM,
    USUALLY,
    Phrase,
    choose,
    synonym,
)

# Increase it with every change to the captions or to the images of `avatars`: it is part of the cache key.
CACHE_VERSION = 4

MAX_FEATURES = 7  # in one caption


@dataclass(frozen=True)
class GeneratedCaption:
    """A caption and its attributes.

    Attributes:
        text: One or two sentences.
        expected: The attributes that the text states or entails: 1 present, 0 absent.
    """

    text: str
    expected: dict[str, int]


def generate_caption(attributes: Mapping[str, int], rng: random.Random) -> GeneratedCaption:
    """Generate a random caption of a face.

    Args:
        attributes: Any of the CelebA attributes, Red_Hair, Long_Hair, Sunglasses and Dark_Skin: 1 present, 0 absent,
            -1 unknown. Unknown attributes are never mentioned.
        rng: Source of all random choices.

    Returns:
        The caption. Its expected attributes are a subset of `attributes`.
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
        if kind is WOMAN:  # these nouns are unusual for a man
            subject = replace(subject, noun=noun.words)
            expected = {"Male": gender}  # the noun replaces "girl", which entails Young
            features.remove(noun)
        else:
            features[features.index(noun)] = replace(noun, slot="have", words=_hair_of(noun, rng))
        expected |= noun.expected
    for feature in features:
        expected |= feature.expected
    visible = [feature for feature in features if feature.slot != "sentence"]
    extra = words_of(features, "sentence")
    shape = choose_shape(bool(visible), rng)
    sentences = shape.write(subject, visible, rng)
    if not shape.names_subject:
        expected = {name: value for feature in visible for name, value in feature.expected.items()}
        extra = []
    elif not visible and any("{her}" in each for each in extra) and rng.random() < USUALLY:
        sentences = []  # "Her hair is red" names the subject
    her = PERSON.possessive if shape.is_plural else subject.possessive
    sentences += [each.format(her=her) for each in extra]
    return GeneratedCaption(
        text=" ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences),
        expected={name: value for name, value in expected.items() if name in attributes},
    )


def _subject(kind: Subject, attributes: Mapping[str, int], rng: random.Random) -> tuple[Subject, dict[str, int]]:
    """Choose a noun for the subject. "boy" and "girl" entail Young, so they are not used if Young is known to be 0."""
    young = attributes.get("Young", 1) == 1
    noun = choose(kind.nouns, [*kind.rare, *(kind.youths if young else ())], rng)
    return replace(kind, noun=noun), {"Young": 1} if noun in kind.youths else {}


# --- features --------------------------------------------------------------------------------------------------------


def _features(attributes: Mapping[str, int], rng: random.Random, certain: bool) -> Iterator[Feature]:
    """Yield at most `MAX_FEATURES` true features in random order, each with its probability, or 1 if `certain`."""
    phrases = [replace(phrase, chance=1.0) if certain else phrase for phrase in (*PHRASES, *FACIAL_HAIR_PHRASES)]
    hair = _hair(attributes, rng, certain)
    ranked = [(rank, phrase) for rank, phrase in enumerate([*phrases, *hair]) if _is_true(phrase, attributes)]
    rng.shuffle(ranked)
    color = _color(attributes) if attributes.get("Bald", 0) != 0 else None
    parts: set[str] = set()
    expected: dict[str, int] = {}
    count = 0
    for rank, phrase in ranked:
        if (
            count == MAX_FEATURES
            or rng.random() >= phrase.chance
            or phrase.part in parts
            or phrase.expected.items() <= expected.items()
        ):
            continue
        slot, words = phrase.choose(rng)
        stated = dict(phrase.expected)
        if "{color}" in words:
            if color and rng.random() < USUALLY:
                slot, words = _tinted(slot, words, synonym(COLORS[color], rng), rng)
                stated |= _only(color)
                color = None  # mention it once
            else:
                words = words.format(color="")
        count += 1
        parts |= {phrase.part} - {""}
        expected |= stated
        yield Feature(slot, words, stated, rank)


def _is_true(phrase: Phrase, attributes: Mapping[str, int]) -> bool:
    """Whether a phrase agrees with the labels. Its first attribute must be labeled, the others may be missing."""
    subject = next(iter(phrase.expected))
    if subject not in attributes or (phrase.men_only and attributes.get("Male") != 1):
        return False
    return all(attributes.get(name, value) == value for name, value in phrase.expected.items())


def _only(color: str) -> dict[str, int]:
    """Label a hair color as the only one."""
    return {name: int(name == color) for name in COLORS}


def _color(attributes: Mapping[str, int]) -> str | None:
    """Return the hair color of a face; None if it has none or several."""
    return next((name for name in COLORS if _is_true(Phrase({name: 1, **_only(name)}), attributes)), None)


def _hair_of(noun: Feature, rng: random.Random) -> str:
    """Rewrite the noun "curly-haired blonde" as "curly blond hair"."""
    shade = synonym(next(words for name, words in COLORS.items() if noun.expected.get(name)), rng)
    return f"{noun.words.rpartition(' ')[0].removesuffix('-haired')} {shade} hair".lstrip()


def _tinted(slot: str, words: str, shade: str, rng: random.Random) -> tuple[str, str]:
    """Add a color to facial hair: "a red beard" or, rarely, "his beard is red"."""
    if rng.random() < RARELY / 2:
        return "sentence", f"{{her}} {words.rpartition('}')[2]} is {shade}"
    return slot, re.sub(r"\ba (?=[aeiou])", "an ", words.format(color=f"{shade} "))


def _hair(attributes: Mapping[str, int], rng: random.Random, certain: bool) -> list[Phrase]:
    """Combine length, texture and color to one phrase, "long wavy red hair". Each part is used at random."""
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
    for synonyms, labels, chance in parts:
        if _is_true(Phrase({**labels, "Bald": 0}), attributes) and (certain or rng.random() < chance):
            words.append(synonym(synonyms, rng))
            expected |= labels
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
        Phrase(
            {**expected, "Bald": 0},
            adjective=f"{'' if kind else f'{kinds}-haired'}||{colored}",
            have=f"{kinds} hair||{'|'.join(loose)}",
            noun=f"||{kind}{CALLED[shade]}" if shade in CALLED else "",
            sentence=f"||{{her}} hair is {joined(words)}",
            chance=1.0,
            part="hair",
        )
    ]
