"""Captions of all faces of a data set, generated from attributes."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from t2f.data.captions.generate import CACHE_VERSION, generate_caption
from t2f.data.captions.lazy import CachedCaptions
from t2f.data.faces import Attributes, fingerprint
from t2f.data.images.decode import in_chunks
from t2f.utils.unicode import well_formed


def generate_captions(
    cache: Path,
    source: str,
    files: Sequence[str],
    attributes: Attributes,
    names: Sequence[str],
    count: int,
    seed: int,
    workers: int,
) -> CachedCaptions:
    """Generate `count` captions for each of N faces, when one is first read, and cache them in a JSON file.

    The captions of a face are a function of its attributes, int8 (N, A), its file name and the seed. `source` is the
    name of the data set, for the name of the file.
    """
    settings: dict[str, Any] = {"files": list(files), "attributes": attributes.tobytes().hex(), "names": list(names)}
    settings |= {"count": count, "seed": seed, "rules": CACHE_VERSION}
    path = cache / f"{source}-captions-{fingerprint(settings)}.json"
    return CachedCaptions(path, len(files), partial(_generate_all, files, attributes, names, count, seed, workers))


def _generate_all(
    files: Sequence[str], attributes: Attributes, names: Sequence[str], count: int, seed: int, workers: int
) -> list[list[str]]:
    def read(part: range) -> list[tuple[str, dict[str, int]]]:
        return [(files[i], dict(zip(names, attributes[i].tolist(), strict=True))) for i in part]

    work = partial(_generate_chunk, count=count, seed=seed)
    chunks = in_chunks(work, read, len(files), workers, f"Writing captions for {len(files):,} faces", size=4096)
    return [captions for _, chunk in chunks for captions in chunk]


def _generate_chunk(faces: Sequence[tuple[str, Mapping[str, int]]], count: int, seed: int) -> list[list[str]]:
    captions = []
    for name, attributes in faces:
        rng = random.Random(well_formed(f"{seed} {name}"))
        captions.append([generate_caption(attributes, rng).text for _ in range(count)])
    return captions
