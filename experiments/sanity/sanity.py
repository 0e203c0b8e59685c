"""Give every metric faces whose worth is known: python experiments/sanity/sanity.py

Real drawn faces are compared with others of their kind: as they are, blurred, made noisy, fewer and fewer of them again
and again, and copied. Writes results.json, results.md and compared.png beside this file.
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
    """Faces put in place of drawn ones: `change`d, then those numbers that `pick` takes of 2 N, the last N real."""

    series: str
    name: str
    change: Callable[[Tensor], Tensor] | None = None
    pick: Callable[[int], Tensor] = torch.arange


def blurred(images: Tensor, sigma: float) -> Tensor:
    """By a Gaussian, pixels."""
    size = 2 * round(3 * sigma) + 1
    return gaussian_blur(images, [size, size], [sigma, sigma])


def noisy(images: Tensor, deviation: float) -> Tensor:
    """By normal noise, in grey levels of 255."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + deviation * noise).round().clamp(0, 255).to(torch.uint8)


def again_and_again(count: int, faces: int) -> Tensor:
    return torch.arange(count) % faces


def copies(count: int, share: float) -> Tensor:
    """That share of the real faces themselves."""
    rows = torch.arange(count)
    return torch.where(rows < share * count, rows + count, rows)


AS_THEY_ARE = Trial("", "other real faces")
TRIALS = [
    AS_THEY_ARE,
    *(Trial("blur", f"blurred, sigma {s} pixels", partial(blurred, sigma=s)) for s in (0.5, 1, 2, 4)),
    *(Trial("noise", f"noisy, deviation {d} of 255", partial(noisy, deviation=d)) for d in (4, 8, 16, 32, 64)),
    *(Trial("fewer", f"{n} faces again and again", pick=partial(again_and_again, faces=n)) for n in (500, 100, 10)),
    Trial("fewer", "one face again and again", pick=partial(again_and_again, faces=1)),
    *(Trial("copies", f"{s:.0%} copies of real faces", pick=partial(copies, share=s)) for s in (0.1, 0.5, 1)),
]


def verdict(figures: list[MetricValue]) -> str:
    """Whether a metric got worse, or stayed, at every step of a series; the first of its figures is of real faces."""
    real = figures[0].generated
    worth = {"higher": lambda value: value, "lower": lambda value: -value, "as real": lambda value: -abs(value - real)}
    values = [worth[figures[0].better](figure.generated) for figure in figures]
    if values[-1] >= values[0]:
        return "**no**"
    return "yes" if all(a >= b for a, b in pairwise(values)) else "in the end"


def random_splits(metric: Metric, faces: Features) -> list[float]:
    """What a metric says of random halves of 2 N real faces: of nothing but chance."""
    values = []
    for seed in range(SPLITS):
        order = torch.randperm(len(faces), generator=torch.Generator().manual_seed(seed))
        for half, real in zip(order.chunk(2), (False, True), strict=True):
            metric.update(Features(*(part[half] for part in vars(faces).values())), real)
        values.append(float(metric.compute()))
        metric.reset()
    return values


def table(results: dict[str, dict[str, MetricValue]]) -> list[str]:
    """A row a trial."""
    titles = {name: figure.title for figure_of in results.values() for name, figure in figure_of.items()}
    better = {name: figure.better for figure_of in results.values() for name, figure in figure_of.items()}
    lines = [
        "| in place of drawn faces | " + " | ".join(titles.values()) + " |",
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
        "Does it get worse, from other real faces on? (yes: the last is worse, and no step is better than the one "
        "before; in the end: the last is worse; no: the last is as good or better.)",
        "",
        "| | " + " | ".join(series) + " |",
        "|---|" + "---|" * len(series),
    ]
    for name, title in titles.items():
        cells = []
        for each in series:
            of_series = [results[trial.name].get(name) for trial in TRIALS if trial.series in ("", each)]
            cells.append(verdict([figure for figure in of_series if figure]) if all(of_series) else "")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT, help="faces of a kind")
    count = parser.parse_args().count
    # The kernel distance of all faces at once says the same as that of many subsets, and is quicker.
    kernel = ["metrics.kernel_distance.subsets=1", f"metrics.kernel_distance.subset_size={count}"]
    cfg = compose_evaluation([f"evaluation.count={count}", *kernel])
    evaluation = instantiate(cfg.evaluation)
    source = Avatars(cfg.paths.cache)
    source.prepare()
    conditioner = TokenConditioner.fit(source.train, vocabulary=1000, max_tokens=40)
    prompt_set = conditioner.prompt_set(source.held_out, len(source.held_out), evaluation.seed)

    def read(images: Tensor) -> Features:
        return cached_features(evaluation.extractor, images.numpy(), evaluation.cache)

    real, others = (torch.from_numpy(source.train.images[start : start + count].copy()) for start in (0, count))
    described = torch.from_numpy(source.held_out.images[prompt_set.faces])
    real_reading = read(real)
    results: dict[str, dict[str, MetricValue]] = {}
    shown = []
    for trial in TRIALS:
        change = trial.change or torch.clone
        rows = trial.pick(count)
        reading = read(change(others))
        both = [torch.cat(pair)[rows] for pair in zip(vars(reading).values(), vars(real_reading).values(), strict=True)]
        figures, _ = evaluation.compute_metrics(Features(*both), real_reading)
        if trial.series != "copies":  # which were described by nobody
            drawn = change(described)[trial.pick(len(described))]
            cpu = torch.device("cpu")
            batch = EvaluationBatch(prompt_set, drawn, source, conditioner, evaluation.seed, evaluation.cache, cpu)
            figures += [figure for marker in evaluation.text_alignment.values() for figure in marker(batch).metrics]
        results[trial.name] = {figure.name: figure for figure in figures}
        shown.append(both[0][:SHOWN])
        print(trial.name, {key: round(each.generated, 4) for key, each in results[trial.name].items()}, flush=True)

    about: dict[str, Any] = provenance(evaluation, source, "", 0, torch.device("cpu"))
    kept = ("seed", "features", "resize", "extractor", "data", "data_fingerprint", "git_commit", "date", "versions")
    about = {"count": count, "described": len(described), **{name: about[name] for name in kept}}
    all_real = Features(*map(torch.cat, zip(*(vars(read(part)).values() for part in (real, others)), strict=True)))
    about["kernel_distance_of_random_splits"] = random_splits(evaluation.metrics["kernel_distance"], all_real)
    male = source.train.attributes[:, source.train.attribute_names.index("Male")]
    about["share_of_men"] = [float((male[start : start + count] == 1).mean()) for start in (0, count)]
    values = {name: {key: figure.generated for key, figure in figures.items()} for name, figures in results.items()}
    (HERE / "results.json").write_text(json.dumps({**about, "figures": values}, indent=2) + "\n")
    splits = torch.tensor(about["kernel_distance_of_random_splits"])
    men = ", ".join(f"{share:.1%}" for share in about["share_of_men"])
    head = (
        f"Written by `experiments/sanity/sanity.py` on {about['date']}: {count:,} against {count:,} drawn faces of "
        f"32x32 pixels, {about['features']}; the last two columns are of {len(described):,} held-out faces and "
        f"sentences about them as they are. What is chance: the kernel distance of {SPLITS} random splits of the "
        f"{2 * count:,} faces is {splits.mean():.2f}, with a standard deviation of {splits.std():.2f}. The two sets "
        f"compared hold {men} men."
    )
    (HERE / "results.md").write_text("\n".join([head, "", *table(results), ""]))
    captions = [trial.name for trial in TRIALS]
    save_png(captioned_sheet(captions, torch.stack(shown), 48), HERE / "compared.png")


if __name__ == "__main__":
    main()
