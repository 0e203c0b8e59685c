"""What a run is worth: whether the faces follow the words."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

from t2f.batches.datamodule import FaceDataModule
from t2f.errors import disk_errors, require
from t2f.metrics.attribute_accuracy import AttributeAccuracy
from t2f.metrics.attribute_classifier import cached_classifier
from t2f.pictures import to_uint8
from t2f.systems.base import GANSystem


class AttributeEvaluation:
    """Draw `count` faces from new captions of held-out faces; read off them what the captions asked for.

    The reader is a classifier trained on the training faces; its own accuracy on the held-out ones is given
    beside. `shuffled` scores the same faces against other captions: a model that ignores its words has both alike.
    """

    def __init__(self, count: int, seed: int, cache: str) -> None:
        require(count >= 1, f"evaluation.count is {count}: it must be at least 1.")
        self.count = count
        self.seed = seed
        self.cache = Path(cache)

    def __call__(self, system: GANSystem, data: FaceDataModule, folder: Path) -> dict[str, float]:
        """Write evaluation.json and evaluation.md to `folder`, print the table, return the averages."""
        if not system.trainer.is_global_zero:
            return {}
        train, held_out = data.source.train, data.source.held_out
        exam = data.conditioner.exam(held_out, self.count, self.seed)
        if exam is None:
            Console().print(
                "No attribute of these faces is asked for in words, so it is not measured whether they follow them."
            )
            return {}
        asked = exam.asked
        reader = cached_classifier(train, self.cache)
        names = list(held_out.attribute_names)

        # Only one process draws and scores, so the others must not be waited for.
        real, matched, shuffled = (AttributeAccuracy(len(names), sync_on_compute=False) for _ in range(3))
        truth = torch.from_numpy(held_out.attributes)
        real_read = reader.read(torch.from_numpy(held_out.images.copy()))
        real.update(real_read, truth)

        drawn = to_uint8(self.draw(system, data, exam.descriptions)).cpu()
        # Before the last stage the faces are smaller than those that the reader learnt on.
        read = reader.read(F.interpolate(drawn, size=held_out.images.shape[2:], mode="nearest"))
        matched.update(read, asked)
        shuffled.update(read, asked[torch.randperm(len(asked), generator=torch.Generator().manual_seed(self.seed))])

        rows = {
            name: {"asked": ask, "matched": match, "shuffled": shuffle, "real": real_score}
            for name, ask, match, shuffle, real_score in zip(
                names,
                (asked >= 0).sum(0).tolist(),
                torch.atleast_1d(matched.compute()).tolist(),
                torch.atleast_1d(shuffled.compute()).tolist(),
                torch.atleast_1d(real.compute()).tolist(),
                strict=True,
            )
            if ask
        }
        # All means are over the same attributes: those asked for both ways.
        shown = ~torch.atleast_1d(matched.compute()).isnan()
        known = (truth >= 0) & shown
        if not shown.any():
            Console().print("Too few or too like faces are held out to measure whether drawn ones follow the words.")
            return {}
        figures = {
            "faces": float(self.count),
            "images_seen": float(system.images_seen),
            "attribute_accuracy": torch.atleast_1d(matched.compute())[shown].mean().item(),
            "attribute_accuracy_shuffled": torch.atleast_1d(shuffled.compute())[shown].mean().item(),
            "reader_balanced_accuracy": torch.atleast_1d(real.compute())[shown].nanmean().item(),
            "reader_accuracy": (real_read == truth.bool())[known].float().mean().item(),
        }
        with disk_errors(f"the evaluation in {folder}"):
            (folder / "evaluation.json").write_text(json.dumps({**figures, "attributes": rows}, indent=2))
            (folder / "evaluation.md").write_text(as_markdown(figures, rows))
        for logger in system.trainer.loggers:
            logger.log_metrics({f"evaluation/{k}": v for k, v in figures.items()}, step=system.images_seen)
        show(figures, rows)
        return figures

    @torch.no_grad()
    def draw(self, system: GANSystem, data: FaceDataModule, descriptions: list[str]) -> torch.Tensor:
        """Descriptions -> float images (N, 3, r, r)."""
        noise = torch.randn(len(descriptions), system.noise_dim, generator=torch.Generator().manual_seed(self.seed))
        parts = zip(data.conditioner(descriptions).split(100), noise.split(100), strict=True)
        return torch.cat([system.sample(rows.to(system.device), z.to(system.device)) for rows, z in parts])


HEADINGS = ("attribute", "asked", "matched", "shuffled", "real faces")


def cells(rows: dict[str, dict[str, float]], figures: dict[str, float]) -> list[tuple[str, ...]]:
    """The table's rows as text, the mean last."""
    table = [
        (name, str(int(row["asked"])), *(f"{row[key]:.3f}" for key in ("matched", "shuffled", "real")))
        for name, row in rows.items()
    ]
    keys = ("attribute_accuracy", "attribute_accuracy_shuffled", "reader_balanced_accuracy")
    return [*table, ("mean", "", *(f"{figures[key]:.3f}" for key in keys))]


def as_markdown(figures: dict[str, float], rows: dict[str, dict[str, float]]) -> str:
    """The evaluation as a page."""
    lines = [
        "# Evaluation",
        "",
        f"Balanced accuracy of the attributes that {figures['faces']:,.0f} captions asked for, read off the faces "
        f"drawn after {figures['images_seen']:,.0f} images (chance: 0.5). `shuffled`: the same faces, other captions. "
        f"`real faces`: the reader on held-out real faces; its plain accuracy there is "
        f"{figures['reader_accuracy']:.3f}.",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|---|" + "---:|" * (len(HEADINGS) - 1),
        *("| " + " | ".join(row) + " |" for row in cells(rows, figures)),
        "",
    ]
    return "\n".join(lines)


def show(figures: dict[str, float], rows: dict[str, dict[str, float]]) -> None:
    """The evaluation in the terminal."""
    table = Table(title="Do the faces follow the words? (balanced accuracy, chance 0.5)")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "attribute" else "right")
    *attributes, mean = cells(rows, figures)
    for row in attributes:
        table.add_row(*row)
    table.add_section()
    table.add_row(*mean, style="bold")
    Console().print(table)
