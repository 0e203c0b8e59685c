"""Face2Text: descriptions that people wrote of faces, in version 0.1 of LFW's and from version 2.0 on of CelebA's.

The descriptions come as one JSON file, the pictures apart from them. Both of its published forms are read:

    [{"image": "Name/Name_0001.png", "descriptions": [{"text": ...}, ...]}, ...]       one entry a picture
    [{"filename" or "image": "Name_0001.jpg", "description": ...}, ...]                one entry a description
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from t2f.data.datasets.origin import Origin
from t2f.data.datasets.photographs import Files, ImageDataset, ImageListing, first_few, place
from t2f.data.tables.file_names import Names
from t2f.data.tables.read import read_text
from t2f.utils.errors import UserError, require
from t2f.utils.unicode import well_formed

PUBLISHED = {250: 0.512}  # LFW's width, and the share of its central 128 pixels: the rest is mostly background
ENDINGS = (".jpg", ".png", ".jpeg")
LAYOUT = "expected is LFW's own layout, Name/Name_0001.jpg"
FORMS = 'expected is a list of {"image": ..., "descriptions": [{"text": ...}]} or {"filename": ..., "description": ...}'


class Face2Text(ImageDataset):
    """The pictures of the folder `images` with the descriptions of the file `descriptions`, and no attributes.

    A share `held_out` of the described persons is held out: no other picture of theirs is trained on. With
    `undescribed`, the pictures of everybody else join the training faces, after the described ones and without
    captions. CelebA's pictures, which version 2.0 describes, are named by numbers alone: each counts as a person of
    its own, so pictures of one celebrity may be on both sides. `crop` None is the central 128 pixels of LFW as
    published (250 pixels), and else the whole width.
    """

    name = "face2text"
    origin = Origin(
        license="other",
        license_name="non-commercial-research",
        link="https://aclanthology.org/2022.pvlam-1.6/",
        terms="Descriptions that people wrote for [Face2Text](https://aclanthology.org/2022.pvlam-1.6/), of "
        "photographs of [Labeled Faces in the Wild](http://vis-www.cs.umass.edu/lfw/) or, from its version 2.0 on, of "
        "[CelebA](https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html). The former has no formal licence: its "
        "photographs come from news pages, and its own page says that it was published to help research, not to vet "
        "commercial products. CelebA's agreement allows non-commercial research only. Take this model for such "
        "research alone.",
        biases="Labeled Faces in the Wild shows people in the news. Its page names who is hardly among them: children "
        "and people over 80, few women, no babies, and many ethnicities little or not at all. CelebA shows "
        "celebrities. The people who described the faces also guessed at feelings, origin, work and character, "
        "sometimes unkindly ([a study](https://arxiv.org/abs/1803.03827)); the model has learnt from that, and its "
        "vocabulary, in `config.json`, is theirs.",
    )

    def __init__(
        self,
        images: str,
        descriptions: str,
        cache: str,
        resolution: int,
        crop: float | None = None,
        undescribed: bool = False,
        held_out: float = 0.1,
        mirror: bool = True,
        on_error: str = "raise",
        workers: int | None = None,
    ) -> None:
        published = PUBLISHED if crop is None else crop
        super().__init__(cache, resolution, published, held_out, mirror, on_error, workers)
        self.images = Path(images).expanduser()
        self.descriptions = Path(descriptions).expanduser()
        self.undescribed = undescribed

    def read(self) -> ImageListing:
        require(self.images.is_dir(), f"No such folder: {self.images} (data.images); {LAYOUT}.")
        require(self.descriptions.is_file(), f"No such file: {self.descriptions} (data.descriptions); {FORMS}.")
        captions: dict[str, list[str]] = {}
        absent = []
        described = list(_descriptions(self.descriptions))
        pictures = Names(self.images, skip=self.skip)
        names = pictures.resolve([(str(self.descriptions), image) for image, _ in described])
        for (image, text), name in zip(described, names, strict=True):
            if name is None:
                absent.append(image)
            elif text.strip():
                captions.setdefault(name, []).append(text.strip())
        notes = []
        if absent:
            require(
                self.skip,
                f"{self.descriptions} describes {absent[0]}, which is not in {self.images}{pictures.near(absent[0])}; "
                f"{LAYOUT}: complete the pictures, or leave such faces out with data.on_error=skip.",
            )
            absent = list(dict.fromkeys(absent))
            notes.append(f"{len(absent):,} described pictures are not in {self.images}: {first_few(absent)}.")
        require(bool(captions), f"{self.descriptions} describes no picture of {self.images}; {LAYOUT}.")

        persons = sorted({_person(name) for name in captions}, key=place)
        held_out = set(persons[: max(1, round(self.share_held_out * len(persons)))])
        train = [name for name in captions if _person(name) not in held_out]
        if self.undescribed:
            paths = sorted(path.relative_to(self.images).as_posix() for path in self._all())
            train += [name for name in paths if name not in captions and _person(name) not in held_out]
        files = train + [name for name in captions if _person(name) in held_out]
        no_attributes = np.zeros((len(files), 0), np.int8)
        return ImageListing(
            Files(self.images, files), len(train), [captions.get(name, []) for name in files], no_attributes, [], notes
        )

    def _all(self) -> Iterator[Path]:
        for pattern in ("*", "*/*"):
            yield from (path for path in self.images.glob(pattern) if path.suffix.lower() in ENDINGS)


def _person(image: str) -> str:
    """Name of Name/Name_0001.png or of Name_0001.png."""
    path = Path(image)
    return path.parent.name or re.sub(r"_\d+$", "", path.stem)


def _descriptions(path: Path) -> Iterator[tuple[str, str]]:
    """(image, text) for each description of the file, also for an empty one."""
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}): download it again or mend it; {FORMS}.") from error
    if isinstance(content, dict):  # the list is one of its values
        content = next((value for value in content.values() if isinstance(value, list)), None)
    require(isinstance(content, list), f"{path} holds no list; {FORMS}.")
    for number, entry in enumerate(content, 1):
        try:
            yield from _entry(entry)
        except (TypeError, KeyError, AttributeError) as error:
            raise UserError(f"Entry {number} of {path} cannot be understood; {FORMS}.") from error


def _entry(entry: Any) -> Iterator[tuple[str, str]]:
    image = entry["image"] if "image" in entry else entry["filename"]
    texts = [entry["description"]] if "description" in entry else [text["text"] for text in entry["descriptions"]]
    for text in texts:
        if not (isinstance(image, str) and isinstance(text, str | None)):
            raise TypeError("not a text")
        yield image, well_formed(text or "")
