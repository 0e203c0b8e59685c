"""Captions for all faces of a data set that comes with attributes, made once, when they are asked for."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from t2f.data.captions.describe import RULES, describe
from t2f.data.captions.lazy import Written
from t2f.data.faces import Attributes, fingerprint
from t2f.data.images.decode import in_chunks
from t2f.utils.unicode import well_formed


def describe_all(
    cache: Path,
    source: str,
    files: Sequence[str],
    attributes: Attributes,
    names: Sequence[str],
    count: int,
    seed: int,
    workers: int,
) -> Written:
    """`count` captions for each face, made from its attributes: a function of these, the seed and its file's name.

    They are made when one is read, and kept in `cache` as a JSON file beside the images.
    """
    settings: dict[str, Any] = {"files": list(files), "attributes": attributes.tobytes().hex(), "names": list(names)}
    settings |= {"count": count, "seed": seed, "rules": RULES}
    path = cache / f"{source}-captions-{fingerprint(settings)}.json"
    return Written(path, len(files), partial(_write, files, attributes, names, count, seed, workers))


def _write(
    files: Sequence[str], attributes: Attributes, names: Sequence[str], count: int, seed: int, workers: int
) -> list[list[str]]:
    def read(part: range) -> list[tuple[str, dict[str, int]]]:
        return [(files[i], dict(zip(names, attributes[i].tolist(), strict=True))) for i in part]

    work = partial(_describe_some, count=count, seed=seed)
    chunks = in_chunks(work, read, len(files), workers, f"Writing captions for {len(files):,} faces", size=4096)
    return [caption for _, some in chunks for caption in some]


def _describe_some(faces: Sequence[tuple[str, Mapping[str, int]]], count: int, seed: int) -> list[list[str]]:
    captions = []
    for name, attributes in faces:
        rng = random.Random(well_formed(f"{seed} {name}"))
        captions.append([describe(attributes, rng).text for _ in range(count)])
    return captions
