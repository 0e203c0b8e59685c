"""Measure the included model on phrases that people type: python experiments/pretrained/phrases.py

The training captions come from a small grammar; these phrases do not. 200 faces are generated for each phrase, and the
attribute classifier counts the faces that have all requested attributes.
"""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

import torch
from torch import Tensor

from t2f import load
from t2f.data.datasets.avatars import Avatars
from t2f.inference.pipeline import validate_descriptions
from t2f.metrics.attribute_classifier import cached_classifier
from t2f.utils.images import to_uint8

HERE = Path(__file__).parent
COUNT, SEED = 200, 1
WOMAN, MAN = {"Male": 0}, {"Male": 1}
PHRASES: dict[str, dict[str, int]] = {
    "a woman": WOMAN | {"Wearing_Hat": 0},
    "a man": MAN | {"Wearing_Hat": 0},
    "a bald man with a red beard and sunglasses": MAN | {"Bald": 1, "No_Beard": 0, "Sunglasses": 1},
    "a bald man with a beard": MAN | {"Bald": 1, "No_Beard": 0},
    "bald man, beard, glasses": MAN | {"Bald": 1, "No_Beard": 0, "Eyeglasses": 1},
    "a smiling woman with long red hair and glasses": WOMAN
    | {"Smiling": 1, "Long_Hair": 1, "Red_Hair": 1, "Eyeglasses": 1},
    "smiling woman long red hair glasses": WOMAN | {"Smiling": 1, "Long_Hair": 1, "Red_Hair": 1, "Eyeglasses": 1},
    "A SMILING WOMAN WITH LONG RED HAIR AND GLASSES!": WOMAN
    | {"Smiling": 1, "Long_Hair": 1, "Red_Hair": 1, "Eyeglasses": 1},
    "draw me a happy woman with curly blond hair": WOMAN | {"Smiling": 1, "Wavy_Hair": 1, "Blond_Hair": 1},
    "a woman whose hair is long and black": WOMAN | {"Long_Hair": 1, "Black_Hair": 1},
    "a black-haired woman with sunglasses who smiles": WOMAN | {"Black_Hair": 1, "Sunglasses": 1, "Smiling": 1},
    "a serious man with gray hair and a mustache": MAN | {"Smiling": 0, "Gray_Hair": 1, "Mustache": 1},
    "a serious man with gray hair": MAN | {"Smiling": 0, "Gray_Hair": 1},
    "a man with gray hair and a mustache": MAN | {"Gray_Hair": 1, "Mustache": 1},
    "a man with a mustache": MAN | {"Mustache": 1},
    "a dark-skinned man with a beard and a hat": MAN | {"Dark_Skin": 1, "No_Beard": 0, "Wearing_Hat": 1},
    "a man with a hat": {"Wearing_Hat": 1},
    "a woman with a hat": {"Wearing_Hat": 1},
    "a person who wears a hat": {"Wearing_Hat": 1},
    "a person": {"Wearing_Hat": 0},
    "a smiling person with a hat and glasses": {"Smiling": 1, "Wearing_Hat": 1, "Eyeglasses": 1},
    "a man without a hat": MAN | {"Wearing_Hat": 0},
    "a man not wearing a hat": MAN | {"Wearing_Hat": 0},
    "a woman without glasses": WOMAN | {"Eyeglasses": 0},
    "a woman not wearing glasses": WOMAN | {"Eyeglasses": 0},
    "a man with no hair": MAN | {"Bald": 1},
    "a man with no beard": MAN | {"No_Beard": 1},
    "a pale woman with short brown hair": WOMAN | {"Pale_Skin": 1, "Long_Hair": 0, "Brown_Hair": 1},
    "a dark-skinned woman with short black hair": WOMAN | {"Dark_Skin": 1, "Long_Hair": 0, "Black_Hair": 1},
}


def correct(predicted: Tensor, names: list[str], requested: dict[str, int]) -> dict[str, float]:
    """Return the fraction of faces with each requested attribute, and under "all" with all of them.

    Args:
        predicted: Attributes of the faces, bool (N, A).
        names: The A names.
        requested: Value of each requested attribute.
    """
    hits = {name: predicted[:, names.index(name)] == bool(value) for name, value in requested.items()}
    fractions = {name: round(hit.float().mean().item(), 3) for name, hit in hits.items()}
    return {"all": round(torch.stack(list(hits.values())).all(0).float().mean().item(), 3), **fractions}


def main() -> None:
    cache = os.environ.get("T2F_CACHE", str(Path.home() / ".cache" / "t2f"))
    data = Avatars(cache, count=30_000, resolution=64)
    data.prepare()
    classifier = cached_classifier(data.train, Path(cache), torch.device("cpu"))
    pipeline = load()
    noise = pipeline.noise(COUNT, SEED)
    results = {}
    for phrase, requested in PHRASES.items():
        notes: list[str] = []
        validate_descriptions([phrase], pipeline.conditioner, notes.append)
        predicted = classifier.predict(to_uint8(pipeline.generate_from_text([phrase] * COUNT, noise)))
        fractions = correct(predicted, list(data.train.attribute_names), requested)
        results[phrase] = {"correct": fractions, "note": "; ".join(notes)}
    lines = [
        f"Written by `experiments/pretrained/phrases.py` on {date.today()}: {COUNT} faces for each, seed {SEED}, after "
        f"{pipeline.images_seen:,} images. *Lowest* is the attribute that was most often wrong. 'A woman', 'a man' and "
        "'a person' are expected to have no hat.",
        "",
        "| phrase | all attributes correct | lowest | note to the user |",
        "|---|---:|---|---|",
    ]
    for phrase, found in results.items():
        fractions = dict(found["correct"])
        all_correct = fractions.pop("all")
        lowest = min(fractions, key=lambda name: fractions[name])
        lines.append(f"| {phrase} | {all_correct:.2f} | `{lowest}` {fractions[lowest]:.2f} | {found['note']} |")
    (HERE / "phrases.json").write_text(json.dumps({"count": COUNT, "seed": SEED, "phrases": results}, indent=1) + "\n")
    (HERE / "phrases.md").write_text("\n".join([*lines, ""]))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
