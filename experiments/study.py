"""Run a study and write its results: python experiments/study.py experiments/facegan

A study is a folder with a `study.yaml`:

    common: [overrides of train.py for all runs]
    runs:
      name: [further overrides]
    evaluate: [optional: overrides of t2f evaluate]
    descriptions: [optional: descriptions of the sample grids, if the held-out captions may not be published]

Each run is a `python train.py` in runs/STUDY/NAME, timed from start to end, and a `t2f evaluate` of its model. A run
that was stopped is resumed; a finished one is not repeated. The study's folder gets results.json, results.md and
curves.png, and of each run its last sample grid (without photographs), its report and its config.
`--seconds` starts no further run after this time.
"""

import argparse
import csv
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import yaml
from matplotlib.figure import Figure
from PIL import Image

from t2f.cli.generate import generate
from t2f.evaluation.report import number
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.images import CAPTION_WIDTH, GAP

HERE = Path(__file__).parent
ROOT = HERE.parent
CURVES = ("loss/discriminator", "loss/generator", "accuracy/real", "accuracy/fake")


def processor() -> str:
    """Return the processor's name, as far as it is known."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def machine() -> str:
    """Describe the threads used, the processor, and the GPU."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{torch.get_num_threads()} of {os.cpu_count()} cores of {processor()}, {gpu}"


def run(name: str, overrides: list[str], folder: Path) -> None:
    """Train in `folder` or resume there; spent.json in it has the total time, the machine and the date."""
    spent_file = folder / "spent.json"
    if (folder / "finished").exists():
        return
    resume = [f"resume={folder}"] if (folder / "checkpoints" / "last.ckpt").exists() else [f"hydra.run.dir={folder}"]
    resumes = spent_file.exists() and resume[0].startswith("resume")
    before = json.loads(spent_file.read_text())["minutes"] if resumes else 0.0
    start = time.perf_counter()
    try:
        subprocess.run([sys.executable, "train.py", f"name={name}", *overrides, *resume], cwd=ROOT, check=True)
        if not was_stopped(folder):
            (folder / "finished").touch()
    finally:
        folder.mkdir(parents=True, exist_ok=True)
        spent = {
            "minutes": before + (time.perf_counter() - start) / 60,
            "machine": machine(),
            "date": str(date.today()),
            "versions": {package: version(package) for package in ("torch", "pytorch-lightning")},
        }
        spent_file.write_text(json.dumps(spent))


def evaluate(overrides: list[str], folder: Path) -> None:
    """Evaluate a finished run, once."""
    if not (folder / "report.json").exists():
        subprocess.run([sys.executable, "-m", "t2f", "evaluate", str(folder), *overrides], cwd=ROOT, check=True)


def was_stopped(folder: Path) -> bool:
    """Return whether a run that exited normally was interrupted by Ctrl-C, which saves first."""
    images = yaml.safe_load((folder / "config.yaml").read_text())["growth"]["images"]
    seen = read_checkpoint(folder / "checkpoints" / "last.ckpt")[CHECKPOINT_KEY]["images_seen"]
    return images is not None and seen < sum(images)


def figures(name: str, overrides: list[str], folder: Path) -> dict[str, Any]:
    """Return the results of a finished run."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    report = json.loads((folder / "report.json").read_text())
    last = [row for row in rows if row["loss/discriminator"]][-1]
    return {
        "name": name,
        "command": " ".join(["python", "train.py", *overrides]),
        **json.loads((folder / "spent.json").read_text()),
        "images": int(rows[-1]["images_seen"]),
        "table": report["table"],
        **{key: report[key] for key in ("count", "real_count", "reference", "features")},
        **{key: float(last[key]) for key in CURVES},
    }


def collect(study: Path, name: str, folder: Path, descriptions: list[str] | None) -> None:
    """Copy a run's last sample grid, report and config, without the folders of this machine."""
    here = f"runs/{study.name}/{name}"
    (study / f"{name}.report.md").write_text((folder / "report.md").read_text().replace(str(folder), here))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    if descriptions:
        generate(str(folder), descriptions, count=4, seed=0, truncation=1.0, out=study / f"{name}.png")
    else:
        sheet = Image.open(max((folder / "samples").glob("*.png")))
        if config["data"]["_target_"] != "t2f.data.datasets.avatars.Avatars":
            sheet = without_real_faces(sheet, config["callbacks"]["sample_grids"]["face_size"])
        sheet.save(study / f"{name}.png", optimize=True)
    cache = config["paths"]["cache"]
    text = yaml.safe_dump(config, sort_keys=False).replace(str(folder), here)
    (study / f"{name}.yaml").write_text(text.replace(cache, "~/.cache/t2f"))


def without_real_faces(sheet: Image.Image, face_size: int) -> Image.Image:
    """Remove the column of photographs, which may not be published, from a sample grid."""
    column = face_size + GAP
    cut = Image.new("RGB", (sheet.width - column, sheet.height), "white")
    cut.paste(sheet.crop((0, 0, CAPTION_WIDTH, sheet.height)), (0, 0))
    cut.paste(sheet.crop((CAPTION_WIDTH + column, 0, sheet.width, sheet.height)), (CAPTION_WIDTH, 0))
    return cut


def draw_curves(study: Path, folders: dict[str, Path]) -> None:
    """Plot losses and the discriminator's accuracy against images seen, one column for each run."""
    figure = Figure(figsize=(3 * len(folders) + 1, 5), layout="constrained")
    axes = figure.subplots(2, len(folders), squeeze=False, sharex="col", sharey="row")
    for column, (name, folder) in zip(axes.T, folders.items(), strict=True):
        with (folder / "metrics.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["loss/discriminator"]]
        seen = [int(row["images_seen"]) for row in rows]
        for key in CURVES:
            panel = column[int(key.startswith("accuracy"))]
            panel.plot(seen, [float(row[key]) for row in rows], label=key, linewidth=1)
        column[0].set_title(name, fontsize=9)
        column[1].set_xlabel("images")
    for panel in axes[:, 0]:
        panel.legend(fontsize=7)
    figure.savefig(study / "curves.png", dpi=80)


def cell(figure: dict[str, Any]) -> str:
    """Format the value of the generated images, with those of shuffled text and of real images in parentheses."""
    others = [number(figure[key]) for key in ("shuffled", "real") if figure[key] is not None]
    return number(figure["generated"]) + (f" ({' / '.join(others)})" if others else "")


def measured(results: list[dict[str, Any]]) -> dict[str, str]:
    """Return names and titles of all metrics that at least one run has, in order."""
    figures = [figure for result in results for figure in result["table"]]
    return {figure["name"]: re.sub(r" (of \d|\(chance).*", "", figure["title"]) for figure in figures}


def cells(result: dict[str, Any], names: Iterable[str]) -> list[str]:
    """Return the cells of a run for these metrics."""
    figures = {figure["name"]: cell(figure) for figure in result["table"]}
    return [figures.get(name, "") for name in names]


def table(results: list[dict[str, Any]]) -> str:
    """Format results.md."""
    titles = measured(results)
    headings = ["run", "images", "minutes", *titles.values(), "discriminator's accuracy on real / generated"]
    rows = [
        [
            result["name"],
            f"{result['images']:,}",
            f"{result['minutes']:.1f}",
            *cells(result, titles),
            f"{result['accuracy/real']:.2f} / {result['accuracy/fake']:.2f}",
        ]
        for result in results
    ]
    rows += mean_rows(results, titles)
    lines = [
        f"Written by `experiments/study.py` on {results[0]['date']}; {results[0]['machine']}; Python "
        f"{platform.python_version()}, torch {results[0]['versions']['torch']}, pytorch-lightning "
        f"{results[0]['versions']['pytorch-lightning']}. Features: {results[0]['features']}. Values of generated "
        "images; in parentheses those of shuffled text, if the metric depends on text, and of real held-out images. "
        "The numbers of images are in the reports.",
        "",
        *markdown(headings, rows),
        "",
        *(f"- {result['name']}: `{result['command']}`" for result in results),
        "",
    ]
    return "\n".join(lines)


def mean_rows(results: list[dict[str, Any]], names: Iterable[str]) -> list[list[str]]:
    """Return the mean and standard deviation of each metric over runs that differ only in their seed."""
    by_command: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        by_command[re.sub(r" seed=\S+", "", result["command"])].append(result)
    rows = []
    for runs in by_command.values():
        if len(runs) > 1:
            row = [f"mean of {', '.join(run['name'] for run in runs)} (± standard deviation)", "", ""]
            for name in names:
                values = [figure["generated"] for run in runs for figure in run["table"] if figure["name"] == name]
                complete = len(values) == len(runs)
                row.append(f"{number(fmean(values))} ± {number(stdev(values))}" if complete else "")
            rows.append([*row, ""])
    return rows


def markdown(headings: list[str], rows: list[list[str]]) -> list[str]:
    return [
        "| " + " | ".join(headings) + " |",
        "|---|" + "---:|" * (len(headings) - 1),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--only", nargs="+", help="names of the runs to run")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    arguments = parser.parse_args()
    study = arguments.study.resolve()
    plan = yaml.safe_load((study / "study.yaml").read_text())
    started = time.monotonic()
    folders = {name: ROOT / "runs" / study.name / name for name in plan["runs"]}
    for name, folder in folders.items():
        if arguments.only and name not in arguments.only:
            continue
        if time.monotonic() - started < arguments.seconds:
            run(name, [*plan.get("common", []), *plan["runs"][name]], folder)
        if (folder / "finished").exists():
            evaluate(plan.get("evaluate", []), folder)
    finished = {name: folder for name, folder in folders.items() if (folder / "report.json").exists()}
    if not finished:
        return
    results = [
        figures(name, [*plan.get("common", []), *plan["runs"][name]], folder) for name, folder in finished.items()
    ]
    (study / "results.json").write_text(json.dumps(results, indent=2))
    (study / "results.md").write_text(table(results))
    draw_curves(study, finished)
    for name, folder in finished.items():
        collect(study, name, folder, plan.get("descriptions"))


if __name__ == "__main__":
    main()
