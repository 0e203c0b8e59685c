"""Synthetic faces, which need no download.

DiceBear's `avataaars` style (by Pablo Stanley, free for personal and commercial use) renders a face from named options.
The options are sampled here, so the attributes are known exactly. Man and woman are a convention of this data set, not
a fact about people: men have short hair, women have longer hair, and only men have beards or bald heads. This makes
"man" and "woman" visible at 32 x 32 pixels.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from functools import cache, cached_property, partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import resvg_py
from dicebear import Avatar, Style
from PIL import Image

from t2f.data.captions.generate import CACHE_VERSION, generate_caption
from t2f.data.datasets.origin import Origin
from t2f.data.datasets.photographs import check_resolution, default_workers
from t2f.data.faces import Attributes, Faces, Images, atomic_folder, fingerprint, open_cache, write_images, write_labels
from t2f.data.images.decode import in_chunks

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

# Hair and skin colors are distinguishable at 32 x 32 pixels. In the style's defaults, blond is close to the skin colors
# and brown hair is invisible on dark skin.
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
SMILES = ("smile", "smile", "smile", "default", "twinkle")  # mostly the one with teeth, which is the most visible
SERIOUS = ("serious", "sad")

EYES = ("default",) * 8 + ("side", "happy")
EYEBROWS = ("default", "defaultNatural", "raisedExcited")
CLOTHES = ("shirtCrewNeck", "shirtScoopNeck", "shirtVNeck", "hoodie")
CLOTHES_COLORS = ("#25557c", "#5199e4", "#3c4f5c", "#a7ffc4", "#ff5c5c")
HAT_COLORS = ("#25557c", "#5199e4", "#ff5c5c", "#3f8f6b")
BACKGROUNDS = ("#b6d7e8", "#b9d9b4", "#cbbfe6", "#8fb3c9")


def sample_face(rng: random.Random) -> tuple[dict[str, int], dict[str, Any]]:
    """Sample a face.

    Args:
        rng: the random generator.

    Returns:
        The `ATTRIBUTES` by name (1 present, 0 absent, -1 hidden by a hat), and the DiceBear options for `render`.
    """
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
    if not (beard or mustache):  # facial hair shows the hair color even if the head does not
        if hat:
            attributes |= dict.fromkeys(HAIR, -1)
        elif bald:
            attributes |= dict.fromkeys(HAIR, 0)

    hair_color = rng.choice(HAIR[color])
    options = {
        "seed": "",  # every option is set below
        "idRandomization": False,
        "scale": 1.35,  # the largest that does not clip hair and hats
        "translateY": 8,
        "topVariant": [rng.choice(HATS if hat else TOPS[male, long, wavy])],
        "topProbability": 100 * (hat or not bald),
        "hairColor": [hair_color],
        "skinColor": [rng.choice(SKIN[skin])],
        "eyesVariant": [rng.choice(EYES)],
        "eyebrowsVariant": [rng.choice(EYEBROWS)],
        "mouthVariant": [rng.choice(SMILES if smiling else SERIOUS)],
        "accessoriesVariant": [rng.choice(SUNGLASSES if sunglasses else EYEGLASSES)],
        "accessoriesProbability": 100 * eyeglasses,
        "accessoriesColor": ["#14181b"],
        "facialHairVariant": [rng.choice(BEARDS if beard else MUSTACHES)],
        "facialHairProbability": 100 * (beard or mustache),
        "facialHairColor": [hair_color],
        "clothesVariant": [rng.choice(CLOTHES)],
        "clothesColor": [rng.choice(CLOTHES_COLORS)],
        "hatColor": [rng.choice(HAT_COLORS)],
        "backgroundColor": [rng.choice(BACKGROUNDS)],
    }
    return attributes, options


def visible_attributes(face: dict[str, int]) -> dict[str, int]:
    """Return the attributes with `Male` set to -1 if it is not visible: under a hat, only facial hair shows it."""
    hidden = face["Wearing_Hat"] and face["No_Beard"] and not face["Mustache"]
    return face | {"Male": -1} if hidden else face


@cache
def _style() -> Style:
    return Style(json.loads((files("dicebear_styles") / "avataaars.json").read_text(encoding="utf-8")))


def render(options: dict[str, Any], resolution: int) -> Images:
    """Render a face.

    Args:
        options: DiceBear options.
        resolution: R in pixels.

    Returns:
        uint8 (3, R, R).
    """
    svg = Avatar(_style(), options).to_string()
    png = resvg_py.svg_to_bytes(svg_string=svg, width=resolution, height=resolution, skip_system_fonts=True)
    with Image.open(io.BytesIO(bytes(png))) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def caption(face: dict[str, int], rng: random.Random) -> str:
    """Describe a face with a hat as a man or a woman only if the caption mentions the hat.

    Otherwise "a woman" would stand for faces with and without a hat, although only the latter show a woman.
    """
    description = generate_caption(face, rng)
    if "Wearing_Hat" in description.expected:
        return description.text
    return generate_caption(visible_attributes(face), rng).text


def _render_chunk(
    indices: range, resolution: int, captions_per_face: int, seed: int
) -> tuple[Images, list[list[str]], Attributes]:
    """Return images, captions and attributes of faces. Each face depends on the seed and its index only."""
    images = np.empty((len(indices), 3, resolution, resolution), np.uint8)
    captions = []
    attributes = np.empty((len(indices), len(ATTRIBUTES)), np.int8)
    for row, index in enumerate(indices):
        rng = random.Random(f"{seed} {index}")
        face, options = sample_face(rng)
        images[row] = render(options, resolution)
        captions.append([caption(face, rng) for _ in range(captions_per_face)])
        visible = visible_attributes(face)
        attributes[row] = [visible[name] for name in ATTRIBUTES]
    return images, captions, attributes


class Avatars:
    """Synthetic faces with captions and `ATTRIBUTES`, rendered once into an image cache.

    The same arguments give the same bytes, for any number of workers.

    Args:
        cache: folder of the image caches.
        count: number of training faces.
        held_out: number of held-out faces.
        resolution: side of the images in pixels, a power of two.
        captions_per_face: number of captions of each face.
        seed: seed of the faces and captions.
        mirror: whether training images may be mirrored at random.
        workers: number of rendering processes. Defaults to the number of CPUs, at most 8.

    Raises:
        ValueError: if an argument is out of range.
    """

    name = "avatars"
    origin = Origin(
        license="mit",
        license_name=None,
        link="https://www.dicebear.com/licenses/",
        terms="Cartoon faces rendered by [DiceBear](https://www.dicebear.com) in its `avataaars` style, a remix of "
        "[Avataaars](https://avataaars.com) by Pablo Stanley, which is "
        "[free for personal and commercial use](https://www.dicebear.com/licenses/). The data contain no photographs "
        "and no real people. The captions are generated from the options of each face.",
        biases="Men and women are conventions of haircut and beard in these images: men have short hair, women "
        "have longer hair, and only men have beards. This says nothing about people. There are a few skin tones, one "
        "face shape, and the hair and hats of one style. The captions are English sentences of a small grammar.",
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
        counts = {"count": count, "held_out": held_out, "captions_per_face": captions_per_face, "workers": workers}
        for argument, value in counts.items():
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"{argument} must be a whole number, at least 1, but is {value}.")
        check_resolution(resolution)
        self.count = count
        self.total = count + held_out
        self.resolution = resolution
        self.mirror = mirror
        self.workers = workers or default_workers()
        per_face = {"captions_per_face": captions_per_face, "seed": seed}
        self._rendering: dict[str, Any] = {"resolution": resolution, **per_face}
        libraries = ("dicebear-core", "dicebear-styles", "resvg-py")
        self.settings: dict[str, Any] = {
            **self._rendering,
            "faces": self.total,
            "rules": CACHE_VERSION,  # of the images and the captions
            "libraries": {library: version(library) for library in libraries},
        }
        self.folder = Path(cache) / f"avatars-{fingerprint(self.settings)}"

    def prepare(self) -> None:
        """Render the faces unless they are cached.

        Raises:
            UserError: if the cache cannot be written.
        """
        if self.folder.is_dir():
            return
        captions: list[list[str]] = []
        attributes: list[Attributes] = []

        def rendered() -> Iterator[Images]:
            work = partial(_render_chunk, **self._rendering)
            title = f"Rendering {self.total:,} synthetic faces"
            chunks = in_chunks(work, lambda indices: indices, self.total, self.workers, title, size=64)
            for _, (images, chunk_captions, chunk_attributes) in chunks:
                captions.extend(chunk_captions)
                attributes.append(chunk_attributes)
                yield images

        with atomic_folder(self.folder) as temporary:
            write_images(temporary / "images.npy", self.resolution, rendered())
            write_labels(temporary, captions, np.concatenate(attributes), ATTRIBUTES, self.settings)

    def __getstate__(self) -> dict[str, Any]:
        # A memory-mapped array would be pickled whole, so another process opens the cache itself.
        return {name: value for name, value in self.__dict__.items() if name != "faces"}

    @cached_property
    def faces(self) -> Faces:
        """All faces, training faces first.

        Raises:
            UserError: if the cache is damaged.
        """
        return open_cache(self.folder)

    @property
    def train(self) -> Faces:
        """The training faces."""
        return self.faces[: self.count]

    @property
    def held_out(self) -> Faces:
        """The held-out faces."""
        return self.faces[self.count :]
