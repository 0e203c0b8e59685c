"""Does a model understand what people type, and draw it? python experiments/words/measure.py [MODEL [OUT]]

`prompts.csv` has what people type, with the attributes that each asks for (a minus: absent) and the words that drawn
faces cannot show; README.md says which parts were written blind. A classifier taught on the drawn faces reads 32 faces
of each prompt that asks for something that they show.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from t2f import load
from t2f.conditioning.sentences import TokenConditioner
from t2f.data.datasets.avatars import Avatars
from t2f.inference.pipeline import Pipeline
from t2f.metrics.attribute_classifier import AttributeClassifier, cached_classifier
from t2f.utils.errors import UserError
from t2f.utils.images import captioned_sheet, save_png, to_uint8

HERE = Path(__file__).parent
COUNT, SEED, SHOWN = 32, 1, 6
PARTS = ("tuned", "held out", "fresh", "blind 1", "blind 2", "blind 3", "blind 4", "blind 5")


@dataclass(frozen=True)
class Found:
    """A prompt, what was told of it, and for each attribute asked for the share of faces that have it so."""

    part: str
    prompt: str
    notes: list[str]
    refused: bool
    right: dict[str, float]
    all_right: float

    @property
    def ignored(self) -> bool:
        return self.refused or any("ignored" in note for note in self.notes)


def asked_of(words: str) -> dict[str, int]:
    """ "Male -Bald" -> {"Male": 1, "Bald": 0}"""
    return {word.removeprefix("-"): int(not word.startswith("-")) for word in words.split()}


def ask(pipeline: Pipeline, classifier: AttributeClassifier, names: Sequence[str], row: dict[str, str]) -> Found:
    """Draw a prompt, and read its faces; of a refused one nothing is as asked."""
    asked = asked_of(row["asks"])
    try:
        notes = pipeline.conditioner.notes(row["prompt"])
    except UserError as error:
        return Found(row["part"], row["prompt"], [str(error)], True, dict.fromkeys(asked, 0.0), 0.0)
    if not asked:
        return Found(row["part"], row["prompt"], notes, False, {}, 1.0)
    faces = to_uint8(pipeline.generate_from_text([row["prompt"]] * COUNT, pipeline.noise(COUNT, SEED)))
    read = classifier.predict(faces)
    hits = {name: read[:, names.index(name)] == bool(value) for name, value in asked.items()}
    every = torch.stack(list(hits.values())).all(0).float().mean().item()
    right = {name: hit.float().mean().item() for name, hit in hits.items()}
    return Found(row["part"], row["prompt"], notes, False, right, every)


def summary(found: Sequence[Found]) -> list[str]:
    """A markdown table of the parts."""
    lines = [
        "| prompts | | nothing ignored | no note | words drawn as asked | faces with all as asked |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for part in (*PARTS, "all"):
        some = [each for each in found if part in (each.part, "all")]
        drawn = [each for each in some if each.right]
        words = [share for each in drawn for share in each.right.values()]
        figures = (
            sum(not each.ignored for each in some) / len(some),
            sum(not each.notes for each in some) / len(some),
            sum(words) / len(words),
            sum(each.all_right for each in drawn) / len(drawn),
        )
        lines.append(f"| {part} | {len(some)} | {' | '.join(f'{figure:.1%}' for figure in figures)} |")
    return lines


def write(found: Sequence[Found], out: Path, told: str) -> None:
    """The table of all prompts as CSV, and as Markdown with the summary."""
    with (out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["part", "prompt", "all as asked", "each", "told"])
        for each in found:
            rights = " ".join(f"{name}={share:.2f}" for name, share in each.right.items())
            table.writerow([each.part, each.prompt, f"{each.all_right:.2f}", rights, "; ".join(each.notes)])
    lines = [told, "", *summary(found), "", "| prompt | all as asked | the least | told |", "|---|---:|---|---|"]
    for each in sorted((each for each in found if each.right), key=lambda one: (PARTS.index(one.part), one.all_right)):
        least = min(each.right, key=lambda name: each.right[name])
        notes = "; ".join(each.notes).replace("|", "\\|")
        lines.append(f"| {each.prompt} | {each.all_right:.2f} | `{least}` {each.right[least]:.2f} | {notes} |")
    (out / "results.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    print("\n".join(lines[: len(summary(found)) + 2]))


def main(model: str = "pretrained", out: str = str(HERE)) -> None:
    cache = os.environ.get("T2F_CACHE", str(Path.home() / ".cache" / "t2f"))
    data = Avatars(cache, count=30_000, resolution=64)
    data.prepare()
    classifier = cached_classifier(data.train, Path(cache), torch.device("cpu"))
    pipeline = load(model)
    assert isinstance(pipeline.conditioner, TokenConditioner)
    rows = list(csv.DictReader((HERE / "prompts.csv").open(encoding="utf-8")))
    names = list(data.train.attribute_names)
    found = [ask(pipeline, classifier, names, row) for row in rows]
    name = Path(model).name
    write(
        found,
        Path(out),
        f"Written by `experiments/words/measure.py`: {COUNT} faces for each prompt, seed {SEED}, by `{name}`. "
        "A prompt that is refused counts as drawn wrongly.",
    )
    drawn = [each.prompt for each in found if not each.refused][::9]
    noise = pipeline.noise(SHOWN, SEED)
    faces = to_uint8(
        pipeline.generate_from_text([prompt for prompt in drawn for _ in range(SHOWN)], noise.repeat(len(drawn), 1))
    )
    save_png(captioned_sheet(drawn, faces.unflatten(0, (len(drawn), SHOWN)), 64), Path(out) / "sheet.png", {})


if __name__ == "__main__":
    main(*sys.argv[1:])
