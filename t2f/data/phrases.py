"""What can be said of a face: the words of each attribute, and what they entail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COLOURS = {
    "Black_Hair": "black|jet-black",
    "Blond_Hair": "blond|blonde",
    "Brown_Hair": "brown",
    "Gray_Hair": "gray|grey|silver",
    "Red_Hair": "red|ginger",
}

USUALLY, SELDOM = 0.75, 0.3  # how often a thing is mentioned, and how often that it is missing


@dataclass(frozen=True)
class Claim:
    """Something that can be said of a face. The first of `asked` is what it is about, the rest it entails.

    The words of each grammatical slot are synonyms, separated by `|`:

    adjective   before the noun, or after "is"
    be          after "is" only
    have, wear  after that verb, or after "with"
    lack        after "without", or after "does not have"
    sentence    on its own
    """

    asked: Mapping[str, int]
    adjective: str = ""
    be: str = ""
    have: str = ""
    wear: str = ""
    lack: str = ""
    sentence: str = ""
    chance: float = USUALLY
    part: str = ""  # of the face: only one claim is made about each, since "a big nose and a pointy nose" are two
    men_only: bool = False  # nobody says of a woman that she has no beard

    def options(self) -> list[tuple[str, str]]:
        """All (slot, words)."""
        slots = ("adjective", "be", "have", "wear", "lack", "sentence")
        return [(slot, words) for slot in slots for words in getattr(self, slot).split("|") if words]


# In the order in which adjectives stand before a noun: "a smiling attractive young bald man".
CLAIMS = (
    Claim({"Smiling": 1}, adjective="smiling|happy|cheerful", have="a smile|a happy smile"),
    Claim(
        {"Smiling": 0},
        adjective="serious|unsmiling",
        be="not smiling",
        have="a serious look|a serious expression",
        lack="a smile",
        chance=SELDOM,
    ),
    Claim({"Attractive": 1}, adjective="attractive|good-looking"),
    Claim({"Chubby": 1}, adjective="chubby|plump"),
    Claim({"Young": 1}, adjective="young|youthful"),
    Claim({"Young": 0}, adjective="older|mature", chance=SELDOM),
    Claim(
        {"Bald": 1, "Bangs": 0, "Long_Hair": 0, "Receding_Hairline": 0, "Straight_Hair": 0, "Wavy_Hair": 0},
        adjective="bald|bald|bald-headed",
        have="a bald head|no hair",
        lack="hair",
    ),
    Claim(
        {"No_Beard": 1, "Mustache": 0, "Goatee": 0, "5_o_Clock_Shadow": 0},
        adjective="clean-shaven",
        chance=SELDOM,
        part="chin",
        men_only=True,
    ),
    Claim({"Pale_Skin": 1, "Dark_Skin": 0}, adjective="pale|pale-skinned|fair-skinned", have="pale skin|fair skin"),
    Claim({"Dark_Skin": 1, "Pale_Skin": 0}, adjective="dark-skinned", have="dark skin|a dark complexion"),
    Claim({"Arched_Eyebrows": 1}, have="arched eyebrows|curved eyebrows", part="eyebrows"),
    Claim({"Bushy_Eyebrows": 1}, have="bushy eyebrows|thick eyebrows", part="eyebrows"),
    Claim({"Bags_Under_Eyes": 1}, have="bags under the eyes|baggy eyes", part="eyes"),
    Claim({"Narrow_Eyes": 1}, have="narrow eyes", part="eyes"),
    Claim({"Big_Nose": 1}, have="a big nose|a large nose", part="nose"),
    Claim({"Pointy_Nose": 1}, have="a pointy nose|a pointed nose", part="nose"),
    Claim({"Big_Lips": 1}, have="big lips|full lips"),
    Claim({"Mouth_Slightly_Open": 1}, have="a slightly open mouth"),
    Claim({"High_Cheekbones": 1}, have="high cheekbones|prominent cheekbones"),
    Claim({"Rosy_Cheeks": 1}, have="rosy cheeks|red cheeks"),
    Claim({"Double_Chin": 1}, have="a double chin"),
    Claim({"Oval_Face": 1}, have="an oval face|an oval-shaped face"),
    Claim({"Bangs": 1, "Bald": 0}, have="bangs|a fringe"),
    Claim({"Receding_Hairline": 1, "Bald": 0}, have="a receding hairline"),
    Claim({"Sideburns": 1}, have="sideburns"),
    Claim({"No_Beard": 1, "Goatee": 0}, have="no beard", lack="a beard", chance=SELDOM, part="chin", men_only=True),
    Claim({"Mustache": 0}, have="no mustache|no moustache", lack="a mustache", chance=SELDOM, men_only=True),
    Claim({"Eyeglasses": 1, "Sunglasses": 0}, wear="glasses|eyeglasses|spectacles"),
    Claim({"Sunglasses": 1, "Eyeglasses": 1}, wear="sunglasses|dark sunglasses|shades"),
    Claim(
        {"Eyeglasses": 0, "Sunglasses": 0},
        be="not wearing glasses",
        wear="no glasses",
        lack="glasses",
        chance=SELDOM,
    ),
    Claim({"Wearing_Hat": 1}, wear="a hat|some kind of hat"),
    Claim({"Wearing_Hat": 0}, be="not wearing a hat", wear="no hat", lack="a hat", chance=SELDOM),
    Claim({"Heavy_Makeup": 1}, wear="heavy makeup|a lot of makeup"),
    Claim({"Wearing_Lipstick": 1}, wear="lipstick"),
    Claim({"Wearing_Earrings": 1}, wear="earrings"),
    Claim({"Wearing_Necklace": 1}, wear="a necklace"),
    Claim({"Wearing_Necktie": 1}, wear="a tie|a necktie"),
    Claim({"Blurry": 1}, sentence="the picture is blurry|the photo is out of focus"),
)

# The colour of the hair is said here when the head itself shows none.
FACIAL_HAIR = (
    Claim({"Goatee": 1, "No_Beard": 0}, have="a {colour}goatee", part="chin"),
    Claim({"No_Beard": 0}, have="a {colour}beard", part="chin"),
    Claim({"5_o_Clock_Shadow": 1}, have="{colour}stubble|a five o'clock shadow", part="chin"),
    Claim({"Mustache": 1}, have="a {colour}mustache|a {colour}moustache"),
)
