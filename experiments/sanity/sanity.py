"""Compute every metric on faces of known quality: python experiments/sanity/sanity.py

Synthetic faces in place of generated ones are compared with others of the same data set: unchanged, blurred, noisy, few
of them repeated, and copies. Writes results.json, results.md and compared.png in this folder.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from torch import Tensor
from torchmetrics import Metric
from torchvision.transforms.functional import gaussian_blur

from t2f.cli.evaluate import compose_evaluation
from t2f.conditioning.sentences import TokenConditioner
from t2f.data.datasets.avatars import Avatars
from t2f.evaluation.metric_value import MetricValue
from t2f.evaluation.provenance import provenance
from t2f.evaluation.report import number
from t2f.evaluation.text_alignment import EvaluationBatch
from t2f.metrics.features import Features, cached_features
from t2f.utils.images import captioned_sheet, save_png

HERE = Path(__file__).parent
COUNT = 2000
SHOWN = 8
SPLITS = 20


@dataclass(frozen=True)
class Trial:
    """Faces in place of generated ones.

    Attributes:
        series: Degradation that several trials share, from weak to strong.
        name: Name in the report.
        change: Function of the images; None leaves them unchanged.
        pick: Maps N to the indices of N faces among the N changed ones, followed by the N real ones.
    """

    series: str
    name: str
    change: Callable[[Tensor], Tensor] | None = None
    pick: Callable[[int], Tensor] = torch.arange


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Blur with a Gaussian of this standard deviation in pixels."""
    size = 2 * round(3 * sigma) + 1
    return gaussian_blur(images, [size, size], [sigma, sigma])


def noisy(images: Tensor, deviation: float) -> Tensor:
    """Add Gaussian noise of this standard deviation in gray levels of 255."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + deviation * noise).round().clamp(0, 255).to(torch.uint8)


def repeated(count: int, faces: int) -> Tensor:
    """Repeat the first faces."""
    return torch.arange(count) % faces


def copies(count: int, fraction: float) -> Tensor:
    """Replace this fraction of the faces by real ones."""
    rows = torch.arange(count)
    return torch.where(rows < fraction * count, rows + count, rows)


UNCHANGED = Trial("", "other real faces")
TRIALS = [
    UNCHANGED,
    *(Trial("blur", f"blurred, sigma {s} pixels", partial(blurred, sigma=s)) for s in (0.5, 1, 2, 4)),
    *(Trial("noise", f"noisy, deviation {d} of 255", partial(noisy, deviation=d)) for d in (4, 8, 16, 32, 64)),
    *(Trial("fewer", f"{n} faces again and again", pick=partial(repeated, faces=n)) for n in (500, 100, 10)),
    Trial("fewer", "one face again and again", pick=partial(repeated, faces=1)),
    *(Trial("copies", f"{s:.0%} copies of real faces", pick=partial(copies, fraction=s)) for s in (0.1, 0.5, 1)),
]


def verdict(values: list[MetricValue]) -> str:
    """Describe whether a metric got worse along a series, whose first value is that of other real faces."""
    real = values[0].generated
    quality = {
        "higher": lambda value: value,
        "lower": lambda value: -value,
        "as real": lambda value: -abs(value - real),
    }
    qualities = [quality[values[0].better](value.generated) for value in values]
    if qualities[-1] >= qualities[0]:
        return "**no**"
    return "yes" if all(a >= b for a, b in pairwise(qualities)) else "in the end"


def random_splits(metric: Metric, faces: Features) -> list[float]:
    """Compute a metric between random halves of 2 N real faces: its variation by chance."""
    values = []
    for seed in range(SPLITS):
        order = torch.randperm(len(faces), generator=torch.Generator().manual_seed(seed))
        for half, real in zip(order.chunk(2), (False, True), strict=True):
            metric.update(Features(*(part[half] for part in vars(faces).values())), real)
        values.append(float(metric.compute()))
        metric.reset()
    return values


def table(results: dict[str, dict[str, MetricValue]]) -> list[str]:
    """Format the results, one row for each trial, and the verdicts."""
    titles = {name: value.title for values in results.values() for name, value in values.items()}
    better = {name: value.better for values in results.values() for name, value in values.items()}
    lines = [
        "| in place of generated faces | " + " | ".join(titles.values()) + " |",
        "|---|" + "---:|" * len(titles),
        "| *better* | " + " | ".join(f"*{better[name]}*" for name in titles) + " |",
    ]
    for trial in TRIALS:
        cells = [
            number(results[trial.name][name].generated if name in results[trial.name] else None) for name in titles
        ]
        lines.append(f"| {trial.name} | " + " | ".join(cells) + " |")
    series = list(dict.fromkeys(trial.series for trial in TRIALS if trial.series))
    lines += [
        "",
        "Does the metric get worse along a series that starts with other real faces? (yes: worse at the end, and "
        "better at no step; in the end: worse at the end, but better at some step; no: not worse at the end.)",
        "",
        "| | " + " | ".join(series) + " |",
        "|---|" + "---|" * len(series),
    ]
    for name, title in titles.items():
        cells = []
        for each in series:
            of_series = [results[trial.name].get(name) for trial in TRIALS if trial.series in ("", each)]
            cells.append(verdict([value for value in of_series if value]) if all(of_series) else "")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT, help="number of faces on each side")
    count = parser.parse_args().count
    # The kernel distance of all faces estimates the same as that of many subsets, and is faster.
    kernel = ["metrics.kernel_distance.subsets=1", f"metrics.kernel_distance.subset_size={count}"]
    cfg = compose_evaluation([f"evaluation.count={count}", *kernel])
    evaluation = instantiate(cfg.evaluation)
    source = Avatars(cfg.paths.cache)
    source.prepare()
    conditioner = TokenConditioner.fit(source.train, vocabulary=1000, max_tokens=40)
    prompt_set = conditioner.prompt_set(source.held_out, len(source.held_out), evaluation.seed)

    def extract(images: Tensor) -> Features:
        return cached_features(evaluation.extractor, images.numpy(), evaluation.cache)

    real, others = (torch.from_numpy(source.train.images[start : start + count].copy()) for start in (0, count))
    described = torch.from_numpy(source.held_out.images[prompt_set.faces])
    real_features = extract(real)
    results: dict[str, dict[str, MetricValue]] = {}
    shown = []
    for trial in TRIALS:
        change = trial.change or torch.clone
        rows = trial.pick(count)
        features = extract(change(others))
        both = [
            torch.cat(pair)[rows] for pair in zip(vars(features).values(), vars(real_features).values(), strict=True)
        ]
        values, _ = evaluation.compute_metrics(Features(*both), real_features)
        if trial.series != "copies":  # the real faces have no prompts
            generated = change(described)[trial.pick(len(described))]
            cpu = torch.device("cpu")
            batch = EvaluationBatch(prompt_set, generated, source, conditioner, evaluation.seed, evaluation.cache, cpu)
            values += [value for metric in evaluation.text_alignment.values() for value in metric(batch).metrics]
        results[trial.name] = {value.name: value for value in values}
        shown.append(both[0][:SHOWN])
        print(trial.name, {key: round(each.generated, 4) for key, each in results[trial.name].items()}, flush=True)

    about: dict[str, Any] = provenance(evaluation, source, "", 0, torch.device("cpu"))
    kept = ("seed", "features", "resize", "extractor", "data", "data_fingerprint", "git_commit", "date", "versions")
    about = {"count": count, "described": len(described), **{name: about[name] for name in kept}}
    all_real = Features(*map(torch.cat, zip(*(vars(extract(part)).values() for part in (real, others)), strict=True)))
    about["kernel_distance_of_random_splits"] = random_splits(evaluation.metrics["kernel_distance"], all_real)
    male = source.train.attributes[:, source.train.attribute_names.index("Male")]
    about["share_of_men"] = [float((male[start : start + count] == 1).mean()) for start in (0, count)]
    numbers = {name: {key: value.generated for key, value in values.items()} for name, values in results.items()}
    (HERE / "results.json").write_text(json.dumps({**about, "figures": numbers}, indent=2) + "\n")
    splits = torch.tensor(about["kernel_distance_of_random_splits"])
    men = ", ".join(f"{share:.1%}" for share in about["share_of_men"])
    head = (
        f"Written by `experiments/sanity/sanity.py` on {about['date']}: {count:,} against {count:,} synthetic faces of "
        f"32x32 pixels, {about['features']}; the last two columns are those of {len(described):,} held-out faces and "
        f"descriptions of the unchanged faces. By chance, {SPLITS} random splits of the {2 * count:,} faces have a "
        f"kernel distance of {splits.mean():.2f} with a standard deviation of {splits.std():.2f}. The fractions of men "
        f"in the two sets compared are {men}."
    )
    (HERE / "results.md").write_text("\n".join([head, "", *table(results), ""]))
    captions = [trial.name for trial in TRIALS]
    save_png(captioned_sheet(captions, torch.stack(shown), 48), HERE / "compared.png")


if __name__ == "__main__":
    main()
