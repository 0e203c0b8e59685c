"""Run a study and write its figures: python experiments/study.py experiments/facegan

A study is a folder with a `study.yaml`:

    common: [overrides of train.py, for all its runs]
    runs:
      name: [further overrides]
    descriptions: [optional: what to draw for the sheets, where the held-out captions are not ours to publish]

Each run is a `python train.py`, timed from start to end, in runs/STUDY/NAME; one that was stopped goes on, one that is
finished is not run again. The folder then gets results.json, results.md, curves.png, and of each run its last sheet
(without photographs), its evaluation and its config. `--seconds` stops the study between two runs once so much time is
spent.
"""

import argparse
import csv
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure
from PIL import Image

from t2f.checkpoint import CHECKPOINT_KEY, read_checkpoint
from t2f.commands.generate import generate
from t2f.pictures import CAPTION_WIDTH, GAP

ROOT = Path(__file__).parent.parent
CURVES = ("loss/discriminator", "loss/generator", "accuracy/real", "accuracy/fake")


def machine() -> str:
    """The processor, the threads used, and the GPU if there is one, as far as the system tells."""
    import torch

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    processor = models[0] if models else platform.processor()
    return f"{torch.get_num_threads()} of {os.cpu_count()} cores of {processor}, {gpu}"


def run(name: str, overrides: list[str], folder: Path) -> None:
    """Train into `folder`, or go on there; `spent.json` beside the run adds up its time, and says where and when."""
    spent_file = folder / "spent.json"
    if (folder / "finished").exists():
        return
    resume = [f"resume={folder}"] if (folder / "checkpoints" / "last.ckpt").exists() else [f"hydra.run.dir={folder}"]
    goes_on = spent_file.exists() and resume[0].startswith("resume")
    before = json.loads(spent_file.read_text())["minutes"] if goes_on else 0.0
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


def was_stopped(folder: Path) -> bool:
    """Whether a run that ended well was ended by Ctrl-C, which saves first."""
    images = yaml.safe_load((folder / "config.yaml").read_text())["growth"]["images"]
    seen = read_checkpoint(folder / "checkpoints" / "last.ckpt")[CHECKPOINT_KEY]["images_seen"]
    return images is not None and seen < sum(images)


def figures(name: str, overrides: list[str], folder: Path) -> dict[str, Any]:
    """What a finished run measured."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    evaluation = folder / "evaluation.json"
    measured = json.loads(evaluation.read_text())["figures"] if evaluation.exists() else {}
    last = [row for row in rows if row["loss/discriminator"]][-1]
    return {
        "name": name,
        "command": " ".join(["python", "train.py", *overrides]),
        **json.loads((folder / "spent.json").read_text()),
        "images": int(rows[-1]["images_seen"]),
        **measured,
        **{key: float(last[key]) for key in CURVES},
    }


def collect(study: Path, name: str, folder: Path, descriptions: list[str] | None) -> None:
    """Copy a run's last sheet, evaluation and config; without the folders of the machine that ran it."""
    if (folder / "evaluation.md").exists():
        shutil.copy(folder / "evaluation.md", study / f"{name}.evaluation.md")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    if descriptions:
        generate(folder, descriptions, count=4, seed=0, out=study / f"{name}.png")
    else:
        sheet = Image.open(max((folder / "samples").glob("*.png")))
        if config["data"]["_target_"] != "t2f.data.avatars.Avatars":
            sheet = without_real_faces(sheet, config["callbacks"]["sheets"]["face_size"])
        sheet.save(study / f"{name}.png", optimize=True)
    cache = config["paths"]["cache"]
    text = yaml.safe_dump(config, sort_keys=False).replace(str(folder), f"runs/{study.name}/{name}")
    (study / f"{name}.yaml").write_text(text.replace(cache, "~/.cache/t2f"))


def without_real_faces(sheet: Image.Image, face_size: int) -> Image.Image:
    """A sheet without its column of photographs, which are not ours to publish."""
    column = face_size + GAP
    cut = Image.new("RGB", (sheet.width - column, sheet.height), "white")
    cut.paste(sheet.crop((0, 0, CAPTION_WIDTH, sheet.height)), (0, 0))
    cut.paste(sheet.crop((CAPTION_WIDTH + column, 0, sheet.width, sheet.height)), (CAPTION_WIDTH, 0))
    return cut


def draw_curves(study: Path, folders: dict[str, Path]) -> None:
    """Losses and the discriminator's accuracy against images seen, one column a run."""
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


def table(results: list[dict[str, Any]]) -> str:
    """The figures as a page."""
    columns = {
        "run": lambda r: r["name"],
        "images": lambda r: f"{r['images']:,}",
        "minutes": lambda r: f"{r['minutes']:.1f}",
        "attribute accuracy": lambda r: f"{r['attribute_accuracy']:.3f}" if "attribute_accuracy" in r else "",
        "shuffled": lambda r: f"{r['attribute_accuracy_shuffled']:.3f}" if "attribute_accuracy" in r else "",
        "reader on real faces": lambda r: f"{r['attribute_accuracy_real']:.3f}" if "attribute_accuracy" in r else "",
        "discriminator right on real / drawn": lambda r: f"{r['accuracy/real']:.2f} / {r['accuracy/fake']:.2f}",
    }
    lines = [
        f"Written by `experiments/study.py` on {results[0]['date']}; {results[0]['machine']}; Python "
        f"{platform.python_version()}, torch {results[0]['versions']['torch']}, pytorch-lightning "
        f"{results[0]['versions']['pytorch-lightning']}. Balanced accuracies, chance 0.5.",
        "",
        "| " + " | ".join(columns) + " |",
        "|---|" + "---:|" * (len(columns) - 1),
        *("| " + " | ".join(cell(result) for cell in columns.values()) + " |" for result in results),
        "",
        *(f"- {result['name']}: `{result['command']}`" for result in results),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--only", nargs="+", help="some of its runs")
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
    finished = {name: folder for name, folder in folders.items() if (folder / "finished").exists()}
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
