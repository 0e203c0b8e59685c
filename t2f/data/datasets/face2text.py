"""Face2Text: descriptions of faces by people (Gatt et al., LREC 2018, arXiv:1803.03827).

Version 0.1 describes images of Labeled Faces in the Wild, version 2.0 and later images of CelebA. The descriptions are
one JSON file in either published format. The images are a separate download.

    [{"image": "Name/Name_0001.png", "descriptions": [{"text": ...}, ...]}, ...]       one entry per image
    [{"filename" or "image": "Name_0001.jpg", "description": ...}, ...]                one entry per description
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from t2f.data.datasets.origin import Origin
from t2f.data.datasets.photographs import Files, ImageDataset, ImageListing, split_position
from t2f.data.images.formats import IMAGE_EXTENSIONS
from t2f.data.tables.file_names import FileIndex, first_few
from t2f.data.tables.read import read_text
from t2f.utils.errors import UserError, require
from t2f.utils.unicode import well_formed

LFW_CROP = {250: 0.512}  # the central 128 of LFW's 250 pixels; the rest is mostly background
LAYOUT = "expected LFW's layout, Name/Name_0001.jpg"
FORMATS = 'expected a list of {"image": ..., "descriptions": [{"text": ...}]} or {"filename": ..., "description": ...}'


class Face2Text(ImageDataset):
    """The images of a folder with the captions of a Face2Text file, without attributes.

    The split is by person: no image of a held-out person is in the training set. CelebA's images are named by numbers
    only, so each image counts as one person, and images of one celebrity may be in both parts.

    Args:
        images: folder of the images.
        descriptions: the JSON file of the descriptions.
        crop: side of the central square as a fraction of the image width in (0, 1]. Defaults to the central 128 pixels
            of images that are 250 pixels wide, as LFW's are, and to the full width of others.
        undescribed: whether to append the images without description to the training set.
        held_out: fraction of the described persons that is held out, in (0, 1).
        **settings: see `ImageDataset`.

    Raises:
        ValueError: if an argument is out of range.
    """

    name = "face2text"
    origin = Origin(
        license="other",
        license_name="non-commercial-research",
        link="https://aclanthology.org/2022.pvlam-1.6/",
        terms="[Face2Text](https://aclanthology.org/2022.pvlam-1.6/): descriptions by people of photographs of "
        "[Labeled Faces in the Wild](http://vis-www.cs.umass.edu/lfw/) or, from version 2.0 on, of "
        "[CelebA](https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html). Labeled Faces in the Wild has no formal license: "
        "its photographs come from news pages, and its authors say that it was published for research, not for "
        "commercial products. CelebA's agreement allows non-commercial research only. Use this model for "
        "non-commercial research only.",
        biases="Labeled Faces in the Wild shows people in the news. Its authors list groups that are rare or missing: "
        "children and people over 80, women, babies and many ethnicities. CelebA shows celebrities. The descriptions "
        "contain guesses about feelings, origin, work and character, some of them unkind "
        "([a study](https://arxiv.org/abs/1803.03827)). The model was trained on them, and its vocabulary in "
        "`config.json` contains their words.",
    )

    def __init__(
        self,
        images: str,
        descriptions: str,
        crop: float | None = None,
        undescribed: bool = False,
        held_out: float = 0.1,
        **settings: Any,
    ) -> None:
        super().__init__(crop=LFW_CROP if crop is None else crop, held_out=held_out, **settings)
        self.images = Path(images).expanduser()
        self.descriptions = Path(descriptions).expanduser()
        self.undescribed = undescribed

    def read(self) -> ImageListing:
        require(self.images.is_dir(), f"No such folder: {self.images} (data.images); {LAYOUT}.")
        require(self.descriptions.is_file(), f"No such file: {self.descriptions} (data.descriptions); {FORMATS}.")
        descriptions = list(_descriptions(self.descriptions))
        names = FileIndex(self.images)
        files = names.resolve([(str(self.descriptions), image) for image, _ in descriptions])
        captions: dict[str, list[str]] = {}
        missing = []
        for (image, text), file in zip(descriptions, files, strict=True):
            if file is None:
                missing.append(image)
            elif text.strip():
                captions.setdefault(file, []).append(text.strip())
        notes = []
        if missing:
            require(
                self.skip,
                f"{self.descriptions} describes {missing[0]}, which is not in {self.images}"
                f"{names.hint(missing[0])}; "
                f"{LAYOUT}: add the missing images, or skip such faces with data.on_error=skip.",
            )
            missing = list(dict.fromkeys(missing))
            notes.append(f"{len(missing):,} described images are not in {self.images}: {first_few(missing)}.")
        require(bool(captions), f"{self.descriptions} describes no image of {self.images}; {LAYOUT}.")

        persons = sorted({_person(file) for file in captions}, key=split_position)
        held_out_persons = set(persons[: max(1, round(self.held_out_fraction * len(persons)))])
        train = [file for file in captions if _person(file) not in held_out_persons]
        if self.undescribed:
            others = (file for file in names.files if file.lower().endswith(IMAGE_EXTENSIONS) and file not in captions)
            train += sorted(file for file in others if _person(file) not in held_out_persons)
        listed = train + [file for file in captions if _person(file) in held_out_persons]
        return ImageListing(
            images=Files(self.images, listed),
            train=len(train),
            captions=[captions.get(file, []) for file in listed],
            attributes=np.zeros((len(listed), 0), np.int8),
            attribute_names=[],
            notes=notes,
        )


def _person(image: str) -> str:
    """Return NAME for NAME/NAME_0001.png or NAME_0001.png."""
    path = Path(image)
    return path.parent.name or re.sub(r"_\d+$", "", path.stem)


def _descriptions(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (image, text) for each description in the file. The text may be empty."""
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}): download it again or repair it; {FORMATS}.") from error
    if isinstance(content, dict):  # the list is a value of a dictionary
        content = next((value for value in content.values() if isinstance(value, list)), None)
    require(isinstance(content, list), f"{path} contains no list; {FORMATS}.")
    for number, entry in enumerate(content, 1):
        try:
            yield from _entry(entry)
        except (TypeError, KeyError, AttributeError) as error:
            raise UserError(f"Entry {number} of {path} has another format; {FORMATS}.") from error


def _entry(entry: Any) -> Iterator[tuple[str, str]]:
    image = entry["image"] if "image" in entry else entry["filename"]
    texts = [entry["description"]] if "description" in entry else [text["text"] for text in entry["descriptions"]]
    for text in texts:
        if not (isinstance(image, str) and isinstance(text, str | None)):
            raise TypeError("not a text")
        yield image, well_formed(text or "")
