"""Does the model that comes with t2f understand what people type? python experiments/pretrained/phrases.py

Its words were learnt from sentences that a small grammar makes; these are others. A classifier taught on the drawn
faces reads off, of 200 faces for each, which share has all that is asked.
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


def right(read: Tensor, names: list[str], asked: dict[str, int]) -> dict[str, float]:
    """The share of faces, bool (N, A), that have each attribute as asked, and under "all" that have all of them."""
    each = {name: read[:, names.index(name)] == bool(value) for name, value in asked.items()}
    shares = {name: round(hits.float().mean().item(), 3) for name, hits in each.items()}
    return {"all": round(torch.stack(list(each.values())).all(0).float().mean().item(), 3), **shares}


def main() -> None:
    cache = os.environ.get("T2F_CACHE", str(Path.home() / ".cache" / "t2f"))
    data = Avatars(cache, count=30_000, resolution=64)
    data.prepare()
    reader = cached_classifier(data.train, Path(cache), torch.device("cpu"))
    pipeline = load()
    noise = pipeline.noise(COUNT, SEED)
    results = {}
    for phrase, asked in PHRASES.items():
        notes: list[str] = []
        validate_descriptions([phrase], pipeline.conditioner, notes.append)
        read = reader.predict(to_uint8(pipeline.generate_from_text([phrase] * COUNT, noise)))
        results[phrase] = {"right": right(read, list(data.train.attribute_names), asked), "note": "; ".join(notes)}
    lines = [
        f"Written by `experiments/pretrained/phrases.py` on {date.today()}: {COUNT} faces for each, seed {SEED}, after "
        f"{pipeline.images_seen:,} images. The least is the attribute most often missed. Nobody who says less means a "
        "hat.",
        "",
        "| typed | all as asked | the least | told |",
        "|---|---:|---|---|",
    ]
    for phrase, found in results.items():
        shares = dict(found["right"])
        all_right = shares.pop("all")
        least = min(shares, key=lambda name: shares[name])
        lines.append(f"| {phrase} | {all_right:.2f} | `{least}` {shares[least]:.2f} | {found['note']} |")
    (HERE / "phrases.json").write_text(json.dumps({"count": COUNT, "seed": SEED, "phrases": results}, indent=1) + "\n")
    (HERE / "phrases.md").write_text("\n".join([*lines, ""]))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
