"""Captions for all faces of a data set that comes with attributes, made once."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from t2f.data.captions import RULES, describe
from t2f.data.decoding import in_chunks
from t2f.data.faces import Attributes, fingerprint
from t2f.files import whole_file
from t2f.text.unicode import well_formed


def _describe_some(faces: Sequence[tuple[str, Mapping[str, int]]], count: int, seed: int) -> list[list[str]]:
    captions = []
    for name, attributes in faces:
        rng = random.Random(well_formed(f"{seed} {name}"))
        captions.append([describe(attributes, rng).text for _ in range(count)])
    return captions


def describe_all(
    cache: Path,
    source: str,
    files: Sequence[str],
    attributes: Attributes,
    names: Sequence[str],
    count: int,
    seed: int,
    workers: int,
) -> list[list[str]]:
    """`count` captions for each face, made from its attributes: a function of these, the seed and its file's name.

    They are made once, and kept in `cache` as a JSON file beside the images.
    """
    settings: dict[str, Any] = {"files": list(files), "attributes": attributes.tobytes().hex(), "names": list(names)}
    settings |= {"count": count, "seed": seed, "rules": RULES}
    path = cache / f"{source}-captions-{fingerprint(settings)}.json"
    with suppress(OSError, ValueError):  # not there, or damaged: they are made again
        kept: list[list[str]] = json.loads(path.read_text(encoding="utf-8"))
        return kept

    def read(part: range) -> list[tuple[str, dict[str, int]]]:
        return [(files[i], dict(zip(names, attributes[i].tolist(), strict=True))) for i in part]

    work = partial(_describe_some, count=count, seed=seed)
    chunks = in_chunks(work, read, len(files), workers, f"Writing captions for {len(files):,} faces", size=4096)
    captions = [caption for _, some in chunks for caption in some]
    with whole_file(path, f"the captions {path}") as side:
        side.write_text(json.dumps(captions, ensure_ascii=False), encoding="utf-8")
    return captions
