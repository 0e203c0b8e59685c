"""The phrases of captions: the words for each attribute, and the attributes that they entail."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

T = TypeVar("T")

USUALLY, SELDOM = 0.75, 0.3  # probability of mentioning a present and an absent attribute
RARELY = 0.2  # probability of a rare word; a short training learns the frequent words

# Synonyms are separated by `|`. Those after `||` are rare.
COLORS = {
    "Black_Hair": "black|jet-black||raven|deep black",
    "Blond_Hair": "blond|blonde||fair|golden|light|light blond|dark blond|platinum blonde|yellow",
    "Brown_Hair": "brown||dark brown|light brown|chestnut|brunette",
    "Gray_Hair": "gray|grey|silver||white|snow-white|silvery",
    "Red_Hair": "red|ginger||auburn|copper|orange|reddish|bright red",
}
DARK = ("Black_Hair", "Brown_Hair")  # hair that may be called "dark"
LIGHT = tuple(color for color in COLORS if color not in DARK)  # absent if hair is called "dark"

# Words for a hair color without other properties of the hair: adjectives, and nouns for a person.
COLORED = {
    "Blond_Hair": "blond|blonde",
    "Brown_Hair": "brunette",
    "Red_Hair": "ginger|redheaded",
    "Gray_Hair": "gray-headed|white-headed",
}
CALLED = {"Blond_Hair": "blonde", "Brown_Hair": "brunette", "Red_Hair": "redhead"}


SLOTS = ("adjective", "be", "have", "wear", "lack", "verb", "noun", "sentence")


@dataclass(frozen=True)
class Phrase:
    """Words for one statement about a face.

    The words of each grammatical slot are synonyms, separated by `|`, with rare ones after `||`.

    Attributes:
        expected: The attributes of the statement: first the one that it states, then those that it entails.
        adjective: Words before the noun or after "is".
        be: Words after "is" only.
        have: Words after "has" or "with".
        wear: Words after "wears", "wearing", "in" or "with".
        lack: Words after "without" or "does not have".
        verb: Predicates with their own verb.
        noun: Words in place of the noun.
        sentence: Full sentences; {her} is "her", "his" or "their".
        chance: Probability of using the phrase.
        part: Part of the face. A caption has at most one phrase for each part, as "a big nose" and "a pointy nose" are
            two noses.
        men_only: Whether the phrase is for men only, such as "no beard".
    """

    expected: Mapping[str, int]
    adjective: str = ""
    be: str = ""
    have: str = ""
    wear: str = ""
    lack: str = ""
    verb: str = ""
    noun: str = ""
    sentence: str = ""
    chance: float = USUALLY
    part: str = ""
    men_only: bool = False

    def options(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Return all (slot, words), usual and rare ones."""
        parts = [(slot, *split(words)) for slot in SLOTS if (words := getattr(self, slot))]
        usual = [(slot, words) for slot, some, _ in parts for words in some]
        return usual, [(slot, words) for slot, _, others in parts for words in others]

    def choose(self, rng: random.Random) -> tuple[str, str]:
        """Choose a slot and its words."""
        return choose(*self.options(), rng)


@cache
def split(words: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split synonyms into usual and rare ones."""
    usual, _, rare = words.partition("||")
    return tuple(word for word in usual.split("|") if word), tuple(word for word in rare.split("|") if word)


def choose(usual: Sequence[T], rare: Sequence[T], rng: random.Random) -> T:
    """Choose a usual element or, with probability `RARELY`, a rare one."""
    return rng.choice(rare if rare and (not usual or rng.random() < RARELY) else usual)


def synonym(words: str, rng: random.Random) -> str:
    """Choose a synonym."""
    return choose(*split(words), rng)


# In the order of adjectives before a noun: "a smiling attractive young bald man".
PHRASES = (
    Phrase(
        {"Smiling": 1},
        adjective="smiling|happy|cheerful||grinning|laughing|beaming|joyful|smiley",
        be="||smiling broadly",
        have="a smile|a happy smile||a big smile|a broad smile|a wide smile|a grin|a smiling face|a happy expression",
        verb="||smiles|grins|laughs|looks happy|looks cheerful",
    ),
    Phrase(
        {"Smiling": 0},
        adjective="serious|unsmiling||stern|solemn|serious-looking",
        be="not smiling||not grinning|not laughing",
        have="a serious look|a serious expression||a serious face|a stern look|no smile",
        lack="a smile",
        verb="||does not smile|looks serious",
        chance=SELDOM,
    ),
    Phrase({"Attractive": 1}, adjective="attractive|good-looking||beautiful|lovely"),
    Phrase({"Chubby": 1}, adjective="chubby|plump||overweight|fat"),
    Phrase({"Young": 1}, adjective="young|youthful||youngish", verb="||looks young"),
    Phrase(
        {"Young": 0},
        adjective="older|mature||old|elderly|aged|senior|middle-aged",
        verb="||looks old",
        chance=SELDOM,
    ),
    Phrase(
        {"Bald": 1, "Bangs": 0, "Long_Hair": 0, "Receding_Hairline": 0, "Straight_Hair": 0, "Wavy_Hair": 0},
        adjective="bald|bald|bald-headed||hairless",
        have="a bald head|no hair||a shaved head|a shaven head",
        lack="hair||any hair",
        part="hair",
    ),
    Phrase({"Bald": 0}, be="||not bald", have="||hair|a full head of hair", chance=0.05, part="hair", men_only=True),
    Phrase(
        {"No_Beard": 1, "Mustache": 0, "Goatee": 0, "5_o_Clock_Shadow": 0},
        adjective="clean-shaven||cleanshaven",
        have="||no facial hair",
        lack="||facial hair",
        chance=SELDOM,
        part="chin",
        men_only=True,
    ),
    Phrase(
        {"Pale_Skin": 1, "Dark_Skin": 0},
        adjective="pale|pale-skinned|fair-skinned||light-skinned|white|white-skinned",
        have="pale skin|fair skin||light skin|white skin|a pale complexion|a fair complexion|a light complexion"
        "|a pale face",
    ),
    Phrase(
        {"Dark_Skin": 1, "Pale_Skin": 0},
        adjective="dark-skinned||black|black-skinned|brown-skinned",
        have="dark skin|a dark complexion||black skin|brown skin",
    ),
    Phrase(
        {"Dark_Skin": 0, "Pale_Skin": 0},
        adjective="||tanned|tan|olive-skinned|suntanned",
        have="||tanned skin|a tan|olive skin|a tanned face",
        chance=0.1,
    ),
    Phrase({"Arched_Eyebrows": 1}, have="arched eyebrows|curved eyebrows||arched brows", part="eyebrows"),
    Phrase({"Bushy_Eyebrows": 1}, have="bushy eyebrows|thick eyebrows||bushy brows", part="eyebrows"),
    Phrase({"Bags_Under_Eyes": 1}, have="bags under the eyes|baggy eyes", part="eyes"),
    Phrase({"Narrow_Eyes": 1}, have="narrow eyes||small eyes", part="eyes"),
    Phrase({"Big_Nose": 1}, have="a big nose|a large nose||a wide nose", part="nose"),
    Phrase({"Pointy_Nose": 1}, have="a pointy nose|a pointed nose", part="nose"),
    Phrase({"Big_Lips": 1}, have="big lips|full lips||thick lips"),
    Phrase({"Mouth_Slightly_Open": 1}, have="a slightly open mouth||an open mouth"),
    Phrase({"High_Cheekbones": 1}, have="high cheekbones|prominent cheekbones"),
    Phrase({"Rosy_Cheeks": 1}, have="rosy cheeks|red cheeks||pink cheeks"),
    Phrase({"Double_Chin": 1}, have="a double chin"),
    Phrase({"Oval_Face": 1}, have="an oval face|an oval-shaped face"),
    Phrase({"Bangs": 1, "Bald": 0}, have="bangs|a fringe"),
    Phrase({"Receding_Hairline": 1, "Bald": 0}, have="a receding hairline", adjective="||balding"),
    Phrase({"Sideburns": 1}, have="sideburns"),
    Phrase(
        {"No_Beard": 1, "Goatee": 0},
        adjective="||beardless",
        have="no beard",
        lack="a beard",
        verb="||does not have any beard",
        chance=SELDOM,
        part="chin",
        men_only=True,
    ),
    Phrase({"Mustache": 0}, have="no mustache|no moustache", lack="a mustache", chance=SELDOM, men_only=True),
    Phrase(
        {"Eyeglasses": 1, "Sunglasses": 0},
        adjective="||bespectacled",
        wear="glasses|eyeglasses|spectacles||specs|a pair of glasses|reading glasses|eyewear",
    ),
    Phrase(
        {"Sunglasses": 1, "Eyeglasses": 1},
        wear="sunglasses|dark sunglasses|shades||dark glasses|a pair of sunglasses|sunnies",
    ),
    Phrase(
        {"Eyeglasses": 0, "Sunglasses": 0},
        be="not wearing glasses||not wearing any glasses",
        wear="no glasses",
        lack="glasses||any glasses|spectacles|eyeglasses",
        verb="||does not wear glasses",
        chance=SELDOM,
    ),
    Phrase({"Wearing_Hat": 1}, wear="a hat|some kind of hat||a cap|a beanie|a winter hat|a woolly hat|headgear"),
    Phrase(
        {"Wearing_Hat": 0},
        adjective="||hatless|bareheaded",
        be="not wearing a hat||not wearing a cap",
        wear="no hat",
        lack="a hat||any hat|a cap",
        verb="||does not wear a hat",
        chance=SELDOM,
    ),
    Phrase({"Heavy_Makeup": 1}, wear="heavy makeup|a lot of makeup||heavy make-up"),
    Phrase({"Wearing_Lipstick": 1}, wear="lipstick"),
    Phrase({"Wearing_Earrings": 1}, wear="earrings"),
    Phrase({"Wearing_Necklace": 1}, wear="a necklace"),
    Phrase({"Wearing_Necktie": 1}, wear="a tie|a necktie"),
    Phrase({"Blurry": 1}, sentence="the picture is blurry|the photo is out of focus"),
)

# Their {color} is the hair color, used if the hair itself is not visible.
FACIAL_HAIR_PHRASES = (
    Phrase({"Goatee": 1, "No_Beard": 0}, have="a {color}goatee", part="chin"),
    Phrase({"No_Beard": 0}, adjective="||bearded", have="a {color}beard||facial hair", part="chin"),
    Phrase({"5_o_Clock_Shadow": 1}, have="{color}stubble|a five o'clock shadow", part="chin"),
    Phrase({"Mustache": 1}, adjective="||moustached|mustached", have="a {color}mustache|a {color}moustache"),
)
