"""What can be said of a face: the words of each attribute, and what they entail."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

T = TypeVar("T")

USUALLY, SELDOM = 0.75, 0.3  # how often a thing is mentioned, and how often that it is missing
RARELY = 0.2  # how often a rare word is taken: plain words stay frequent, and a short training learns them first

# Synonyms are separated by `|`; those after `||` are rare.
COLORS = {
    "Black_Hair": "black|jet-black||raven|deep black",
    "Blond_Hair": "blond|blonde||fair|golden|light|light blond|dark blond|platinum blonde|yellow",
    "Brown_Hair": "brown||dark brown|light brown|chestnut|brunette",
    "Gray_Hair": "gray|grey|silver||white|snow-white|silvery",
    "Red_Hair": "red|ginger||auburn|copper|orange|reddish|bright red",
}
DARK = ("Black_Hair", "Brown_Hair")  # hair that is also called "dark"
LIGHT = tuple(color for color in COLORS if color not in DARK)  # which dark hair is not

# How hair is called where its colour alone is told: before a noun, and in place of one.
COLORED = {
    "Blond_Hair": "blond|blonde",
    "Brown_Hair": "brunette",
    "Red_Hair": "ginger|redheaded",
    "Gray_Hair": "gray-headed|white-headed",
}
CALLED = {"Blond_Hair": "blonde", "Brown_Hair": "brunette", "Red_Hair": "redhead"}


SLOTS = ("adjective", "be", "have", "wear", "lack", "verb", "noun", "sentence")


@dataclass(frozen=True)
class Claim:
    """Something that can be said of a face. The first of `expected` is what it is about, the rest it entails.

    The words of each grammatical slot are synonyms, separated by `|`, rare ones after `||`:

    adjective   before the noun, or after "is"
    be          after "is" only
    have, wear  after that verb, or after "with"
    lack        after "without", or after "does not have"
    verb        after the subject, with a verb of their own
    noun        in place of the noun
    sentence    on its own; {her} is "her", "his" or "their"
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
    part: str = ""  # of the face: only one claim is made about each, since "a big nose and a pointy nose" are two
    men_only: bool = False  # nobody says of a woman that she has no beard

    def options(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """All (slot, words): the usual ones, and the rare ones."""
        parts = [(slot, *split(words)) for slot in SLOTS if (words := getattr(self, slot))]
        usual = [(slot, words) for slot, some, _ in parts for words in some]
        return usual, [(slot, words) for slot, _, others in parts for words in others]

    def choose(self, rng: random.Random) -> tuple[str, str]:
        """A slot and its words."""
        return choose(*self.options(), rng)


@cache
def split(words: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The usual and the rare ones of some synonyms."""
    usual, _, rare = words.partition("||")
    return tuple(word for word in usual.split("|") if word), tuple(word for word in rare.split("|") if word)


def choose(usual: Sequence[T], rare: Sequence[T], rng: random.Random) -> T:
    """One of the usual ones, or now and then of the rare ones."""
    return rng.choice(rare if rare and (not usual or rng.random() < RARELY) else usual)


def synonym(words: str, rng: random.Random) -> str:
    """One of some synonyms."""
    return choose(*split(words), rng)


# In the order in which adjectives stand before a noun: "a smiling attractive young bald man".
CLAIMS = (
    Claim(
        {"Smiling": 1},
        adjective="smiling|happy|cheerful||grinning|laughing|beaming|joyful|smiley",
        be="||smiling broadly",
        have="a smile|a happy smile||a big smile|a broad smile|a wide smile|a grin|a smiling face|a happy expression",
        verb="||smiles|grins|laughs|looks happy|looks cheerful",
    ),
    Claim(
        {"Smiling": 0},
        adjective="serious|unsmiling||stern|solemn|serious-looking",
        be="not smiling||not grinning|not laughing",
        have="a serious look|a serious expression||a serious face|a stern look|no smile",
        lack="a smile",
        verb="||does not smile|looks serious",
        chance=SELDOM,
    ),
    Claim({"Attractive": 1}, adjective="attractive|good-looking||beautiful|lovely"),
    Claim({"Chubby": 1}, adjective="chubby|plump||overweight|fat"),
    Claim({"Young": 1}, adjective="young|youthful||youngish", verb="||looks young"),
    Claim(
        {"Young": 0},
        adjective="older|mature||old|elderly|aged|senior|middle-aged",
        verb="||looks old",
        chance=SELDOM,
    ),
    Claim(
        {"Bald": 1, "Bangs": 0, "Long_Hair": 0, "Receding_Hairline": 0, "Straight_Hair": 0, "Wavy_Hair": 0},
        adjective="bald|bald|bald-headed||hairless",
        have="a bald head|no hair||a shaved head|a shaven head",
        lack="hair||any hair",
        part="hair",
    ),
    Claim({"Bald": 0}, be="||not bald", have="||hair|a full head of hair", chance=0.05, part="hair", men_only=True),
    Claim(
        {"No_Beard": 1, "Mustache": 0, "Goatee": 0, "5_o_Clock_Shadow": 0},
        adjective="clean-shaven||cleanshaven",
        have="||no facial hair",
        lack="||facial hair",
        chance=SELDOM,
        part="chin",
        men_only=True,
    ),
    Claim(
        {"Pale_Skin": 1, "Dark_Skin": 0},
        adjective="pale|pale-skinned|fair-skinned||light-skinned|white|white-skinned",
        have="pale skin|fair skin||light skin|white skin|a pale complexion|a fair complexion|a light complexion"
        "|a pale face",
    ),
    Claim(
        {"Dark_Skin": 1, "Pale_Skin": 0},
        adjective="dark-skinned||black|black-skinned|brown-skinned",
        have="dark skin|a dark complexion||black skin|brown skin",
    ),
    Claim(
        {"Dark_Skin": 0, "Pale_Skin": 0},
        adjective="||tanned|tan|olive-skinned|suntanned",
        have="||tanned skin|a tan|olive skin|a tanned face",
        chance=0.1,
    ),
    Claim({"Arched_Eyebrows": 1}, have="arched eyebrows|curved eyebrows||arched brows", part="eyebrows"),
    Claim({"Bushy_Eyebrows": 1}, have="bushy eyebrows|thick eyebrows||bushy brows", part="eyebrows"),
    Claim({"Bags_Under_Eyes": 1}, have="bags under the eyes|baggy eyes", part="eyes"),
    Claim({"Narrow_Eyes": 1}, have="narrow eyes||small eyes", part="eyes"),
    Claim({"Big_Nose": 1}, have="a big nose|a large nose||a wide nose", part="nose"),
    Claim({"Pointy_Nose": 1}, have="a pointy nose|a pointed nose", part="nose"),
    Claim({"Big_Lips": 1}, have="big lips|full lips||thick lips"),
    Claim({"Mouth_Slightly_Open": 1}, have="a slightly open mouth||an open mouth"),
    Claim({"High_Cheekbones": 1}, have="high cheekbones|prominent cheekbones"),
    Claim({"Rosy_Cheeks": 1}, have="rosy cheeks|red cheeks||pink cheeks"),
    Claim({"Double_Chin": 1}, have="a double chin"),
    Claim({"Oval_Face": 1}, have="an oval face|an oval-shaped face"),
    Claim({"Bangs": 1, "Bald": 0}, have="bangs|a fringe"),
    Claim({"Receding_Hairline": 1, "Bald": 0}, have="a receding hairline", adjective="||balding"),
    Claim({"Sideburns": 1}, have="sideburns"),
    Claim(
        {"No_Beard": 1, "Goatee": 0},
        adjective="||beardless",
        have="no beard",
        lack="a beard",
        verb="||does not have any beard",
        chance=SELDOM,
        part="chin",
        men_only=True,
    ),
    Claim({"Mustache": 0}, have="no mustache|no moustache", lack="a mustache", chance=SELDOM, men_only=True),
    Claim(
        {"Eyeglasses": 1, "Sunglasses": 0},
        adjective="||bespectacled",
        wear="glasses|eyeglasses|spectacles||specs|a pair of glasses|reading glasses|eyewear",
    ),
    Claim(
        {"Sunglasses": 1, "Eyeglasses": 1},
        wear="sunglasses|dark sunglasses|shades||dark glasses|a pair of sunglasses|sunnies",
    ),
    Claim(
        {"Eyeglasses": 0, "Sunglasses": 0},
        be="not wearing glasses||not wearing any glasses",
        wear="no glasses",
        lack="glasses||any glasses|spectacles|eyeglasses",
        verb="||does not wear glasses",
        chance=SELDOM,
    ),
    Claim({"Wearing_Hat": 1}, wear="a hat|some kind of hat||a cap|a beanie|a winter hat|a woolly hat|headgear"),
    Claim(
        {"Wearing_Hat": 0},
        adjective="||hatless|bareheaded",
        be="not wearing a hat||not wearing a cap",
        wear="no hat",
        lack="a hat||any hat|a cap",
        verb="||does not wear a hat",
        chance=SELDOM,
    ),
    Claim({"Heavy_Makeup": 1}, wear="heavy makeup|a lot of makeup||heavy make-up"),
    Claim({"Wearing_Lipstick": 1}, wear="lipstick"),
    Claim({"Wearing_Earrings": 1}, wear="earrings"),
    Claim({"Wearing_Necklace": 1}, wear="a necklace"),
    Claim({"Wearing_Necktie": 1}, wear="a tie|a necktie"),
    Claim({"Blurry": 1}, sentence="the picture is blurry|the photo is out of focus"),
)

# The colour of the hair is said here when the head itself shows none.
FACIAL_HAIR = (
    Claim({"Goatee": 1, "No_Beard": 0}, have="a {color}goatee", part="chin"),
    Claim({"No_Beard": 0}, adjective="||bearded", have="a {color}beard||facial hair", part="chin"),
    Claim({"5_o_Clock_Shadow": 1}, have="{color}stubble|a five o'clock shadow", part="chin"),
    Claim({"Mustache": 1}, adjective="||moustached|mustached", have="a {color}mustache|a {color}moustache"),
)
