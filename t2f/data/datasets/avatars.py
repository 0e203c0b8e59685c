"""Drawn faces: the data set that needs no download.

The `avataaars` style of dicebear (by Pablo Stanley, free for personal and commercial use) draws a face
from named choices. We make the choices, so the attributes are known exactly. One convention of these
drawings is not a fact about people: men have short hair, women longer hair, and only men beards and
bald heads, so that a caption's "man" and "woman" can be seen at 32 pixels.
"""

from __future__ import annotations

import io
import json
import os
import random
from functools import cache, cached_property, partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import resvg_py
from dicebear import Avatar, Style
from PIL import Image

from t2f.data.captions.describe import RULES, describe
from t2f.data.datasets.origin import Origin
from t2f.data.faces import Attributes, Faces, Images, fingerprint, open_cache, write_labels, writing_cache
from t2f.data.images.decode import in_chunks
from t2f.utils.errors import UserError

ATTRIBUTES = (
    "Male",
    "Bald",
    "Black_Hair",
    "Blond_Hair",
    "Brown_Hair",
    "Gray_Hair",
    "Red_Hair",
    "Long_Hair",
    "Wavy_Hair",
    "Straight_Hair",
    "Eyeglasses",
    "Sunglasses",
    "No_Beard",
    "Mustache",
    "Smiling",
    "Wearing_Hat",
    "Pale_Skin",
    "Dark_Skin",
)

# Hair colours and skins are apart from each other at 32 pixels: the style's own blond is close to its
# skins, and its own brown hair is invisible on its dark skin.
HAIR = {
    "Black_Hair": ("#1c1210", "#2c1b18"),
    "Blond_Hair": ("#dfb545", "#efd06b"),
    "Brown_Hair": ("#8c5227", "#985a2b"),
    "Gray_Hair": ("#c8c5c5", "#e8e1e1"),
    "Red_Hair": ("#c93305", "#d4470f"),
}
SKIN = {
    "Pale_Skin": ("#ffdbb4", "#ffe3c8"),
    "": ("#edb98a", "#d08b5b"),
    "Dark_Skin": ("#614335", "#68463a"),
}

# (Male, Long_Hair, Wavy_Hair) -> tops
TOPS = {
    (1, 0, 0): ("shortFlat", "shortRound", "theCaesar", "theCaesarAndSidePart"),
    (1, 0, 1): ("dreads02", "shaggy"),
    (0, 1, 0): ("straight01", "straight02", "straightAndStrand"),
    (0, 1, 1): ("curvy", "dreads"),
    (0, 0, 0): ("bob", "miaWallace", "longButNotTooLong"),
    (0, 0, 1): ("curly", "fro"),
}
HATS = ("winterHat1", "winterHat02", "winterHat03", "winterHat04", "hat")
BEARDS = ("beardLight", "beardMedium", "beardMajestic")
MUSTACHES = ("moustacheFancy", "moustacheMagnum")
EYEGLASSES = ("prescription01", "prescription02", "round")
SUNGLASSES = ("wayfarers", "sunglasses", "kurt")
SMILES = ("smile", "smile", "smile", "default", "twinkle")  # mostly the one with teeth: it shows best
SERIOUS = ("serious", "sad")

EYES = ("default",) * 8 + ("side", "happy")
EYEBROWS = ("default", "defaultNatural", "raisedExcited")
CLOTHES = ("shirtCrewNeck", "shirtScoopNeck", "shirtVNeck", "hoodie")
CLOTHES_COLORS = ("#25557c", "#5199e4", "#3c4f5c", "#a7ffc4", "#ff5c5c")
HAT_COLORS = ("#25557c", "#5199e4", "#ff5c5c", "#3f8f6b")
BACKGROUNDS = ("#b6d7e8", "#b9d9b4", "#cbbfe6", "#8fb3c9")


def sample_face(rng: random.Random) -> tuple[dict[str, int], dict[str, Any]]:
    """A random face: its `ATTRIBUTES` (1, 0, or -1 where a hat hides them), and the options to `draw` it."""
    male = int(rng.random() < 0.5)
    beard = male and rng.random() < 0.35
    mustache = male and not beard and rng.random() < 0.15 / 0.65
    bald = male and rng.random() < 0.12
    hat = rng.random() < 0.12
    long = int(not male and rng.random() < 0.5)
    wavy = int(rng.random() < 0.5)
    color, skin = rng.choice(list(HAIR)), rng.choice(list(SKIN))
    sunglasses, eyeglasses = rng.choices([(1, 1), (0, 1), (0, 0)], [0.12, 0.25, 0.63])[0]
    smiling = int(rng.random() < 0.55)

    attributes = dict.fromkeys(ATTRIBUTES, 0) | {
        "Male": male,
        "Bald": int(bald),
        "Long_Hair": long,
        "Wavy_Hair": wavy,
        "Straight_Hair": 1 - wavy,
        "Eyeglasses": eyeglasses,
        "Sunglasses": sunglasses,
        "No_Beard": int(not beard),
        "Mustache": int(mustache),
        "Smiling": smiling,
        "Wearing_Hat": int(hat),
        color: 1,
    }
    if skin:
        attributes[skin] = 1
    if bald:
        attributes |= dict.fromkeys(("Long_Hair", "Wavy_Hair", "Straight_Hair"), 0)
    if hat:
        attributes |= dict.fromkeys(("Bald", "Long_Hair", "Wavy_Hair", "Straight_Hair"), -1)
    if not (beard or mustache):  # which would tell the hair colour where the head does not
        if hat:
            attributes |= dict.fromkeys(HAIR, -1)
        elif bald:
            attributes |= dict.fromkeys(HAIR, 0)

    hair_colour = rng.choice(HAIR[color])
    options = {
        "seed": "",  # every choice is ours
        "idRandomization": False,
        "scale": 1.35,  # as close as the tops of hair and hats allow
        "translateY": 8,
        "topVariant": [rng.choice(HATS if hat else TOPS[male, long, wavy])],
        "topProbability": 100 * (hat or not bald),
        "hairColor": [hair_colour],
        "skinColor": [rng.choice(SKIN[skin])],
        "eyesVariant": [rng.choice(EYES)],
        "eyebrowsVariant": [rng.choice(EYEBROWS)],
        "mouthVariant": [rng.choice(SMILES if smiling else SERIOUS)],
        "accessoriesVariant": [rng.choice(SUNGLASSES if sunglasses else EYEGLASSES)],
        "accessoriesProbability": 100 * eyeglasses,
        "accessoriesColor": ["#14181b"],
        "facialHairVariant": [rng.choice(BEARDS if beard else MUSTACHES)],
        "facialHairProbability": 100 * (beard or mustache),
        "facialHairColor": [hair_colour],
        "clothesVariant": [rng.choice(CLOTHES)],
        "clothesColor": [rng.choice(CLOTHES_COLORS)],
        "hatColor": [rng.choice(HAT_COLORS)],
        "backgroundColor": [rng.choice(BACKGROUNDS)],
    }
    return attributes, options


def as_seen(face: dict[str, int]) -> dict[str, int]:
    """What the picture shows of a face's attributes: beneath a hat, only a beard or a mustache tells a man."""
    hidden = face["Wearing_Hat"] and face["No_Beard"] and not face["Mustache"]
    return face | {"Male": -1} if hidden else face


@cache
def _style() -> Style:
    return Style(json.loads((files("dicebear_styles") / "avataaars.json").read_text(encoding="utf-8")))


def draw(options: dict[str, Any], resolution: int) -> Images:
    """The face of some dicebear options, uint8 (3, resolution, resolution)."""
    svg = Avatar(_style(), options).to_string()
    png = resvg_py.svg_to_bytes(svg_string=svg, width=resolution, height=resolution, skip_system_fonts=True)
    with Image.open(io.BytesIO(bytes(png))) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def caption(face: dict[str, int], rng: random.Random) -> str:
    """A description of a face. Who wears a hat is called a man or a woman only where the hat is spoken of.

    Else "a woman" would be drawn with a hat as well as without one.
    """
    told = describe(face, rng)
    return told.text if "Wearing_Hat" in told.expected else describe(as_seen(face), rng).text


def _draw_faces(
    indices: range, resolution: int, captions_per_face: int, seed: int
) -> tuple[Images, list[list[str]], Attributes]:
    """Images, captions and attributes of the faces `indices`, each a function of the seed and its index alone."""
    images = np.empty((len(indices), 3, resolution, resolution), np.uint8)
    captions = []
    attributes = np.empty((len(indices), len(ATTRIBUTES)), np.int8)
    for row, index in enumerate(indices):
        rng = random.Random(f"{seed} {index}")
        face, options = sample_face(rng)
        images[row] = draw(options, resolution)
        captions.append([caption(face, rng) for _ in range(captions_per_face)])
        attributes[row] = [as_seen(face)[name] for name in ATTRIBUTES]
    return images, captions, attributes


class Avatars:
    """`count` drawn faces to train on and `held_out` others, each with some captions and its `ATTRIBUTES`.

    They are drawn once, by `workers` processes (default: one a CPU, at most 8), into a folder of `cache` named after
    the settings. The same settings give the same bytes, whatever the number of workers. `mirror`: whether training
    pictures may be mirrored at random.
    Raises `UserError` for a setting out of range.
    """

    name = "avatars"
    origin = Origin(
        license="mit",
        license_name=None,
        link="https://www.dicebear.com/licenses/",
        terms="Cartoon faces drawn by [DiceBear](https://www.dicebear.com) in its `avataaars` style, a remix of "
        "[Avataaars](https://avataaars.com) by Pablo Stanley, which is "
        "[free for personal and commercial use](https://www.dicebear.com/licenses/). No photograph and no person is "
        "among them. The sentences are made from the choices that each face was drawn by.",
        biases="Men and women are conventions of haircut and beard in these drawings: men have short hair, women "
        "longer hair, and only men have beards. That says nothing of people. Skin has a few tones, faces have one "
        "shape, and hair and hats are those of one style. The words are plain English ones of a small grammar.",
    )

    def __init__(
        self,
        cache: str,
        count: int = 10_000,
        held_out: int = 1_000,
        resolution: int = 32,
        captions_per_face: int = 4,
        seed: int = 0,
        mirror: bool = False,
        workers: int | None = None,
    ) -> None:
        numbers = {"count": count, "held_out": held_out, "captions_per_face": captions_per_face, "workers": workers}
        for key, value in numbers.items():
            if value is not None and (not isinstance(value, int) or value < 1):
                raise UserError(f"data.{key} is {value}: it must be a whole number, at least 1.")
        if resolution < 4 or resolution & (resolution - 1):
            raise UserError(f"data.resolution is {resolution}: it must be a power of two, 4 or more.")
        self.count = count
        self.total = count + held_out
        self.resolution = resolution
        self.mirror = mirror
        self.workers = workers or min(8, os.cpu_count() or 1)
        self.drawing: dict[str, Any] = {"resolution": resolution, "captions_per_face": captions_per_face, "seed": seed}
        libraries = ("dicebear-core", "dicebear-styles", "resvg-py")
        self.settings: dict[str, Any] = {
            **self.drawing,
            "faces": self.total,
            "rules": RULES,  # of the drawings and the captions
            "libraries": {library: version(library) for library in libraries},
        }
        self.folder = Path(cache) / f"avatars-{fingerprint(self.settings)}"

    def prepare(self) -> None:
        """Draw the faces into the cache, unless they are there."""
        if self.folder.is_dir():
            return
        captions: list[list[str]] = []
        attributes = np.empty((self.total, len(ATTRIBUTES)), np.int8)
        shape = (self.total, 3, self.resolution, self.resolution)
        title = f"Drawing {self.total:,} faces"
        with writing_cache(self.folder, shape) as (side, images):
            draw = partial(_draw_faces, **self.drawing)
            drawn = in_chunks(draw, lambda chunk: chunk, self.total, self.workers, title, size=64)
            for chunk, (some_images, some_captions, some_attributes) in drawn:
                images[chunk.start : chunk.stop] = some_images
                captions += some_captions
                attributes[chunk.start : chunk.stop] = some_attributes
            write_labels(side, captions, attributes, ATTRIBUTES, self.settings)

    def __getstate__(self) -> dict[str, Any]:
        # Another process opens the cache itself: a memory map would be sent whole.
        return {name: value for name, value in self.__dict__.items() if name != "faces"}

    @cached_property
    def faces(self) -> Faces:
        """All faces of the cache, the training faces first."""
        return open_cache(self.folder)

    @property
    def train(self) -> Faces:
        """The first `count` faces."""
        return self.faces[: self.count]

    @property
    def held_out(self) -> Faces:
        """The faces after them."""
        return self.faces[self.count :]
