"""Time the default command, evaluate its model and write the report of this folder.

    python experiments/default_run/measure.py --seeds 0 1 2

Each seed is a run of `python train.py`. A short run first renders the faces and trains the attribute classifier, which
are cached, so their time is not measured. The report has the sample grid and time-lapse of the first seed, and the
results of all.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def train(*overrides: str) -> float:
    """Run train.py and return its seconds from start to end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "train.py", *overrides], cwd=ROOT, check=True)
    return time.perf_counter() - start


def machine() -> str:
    """Describe the processor, as far as it is known."""
    cpuinfo = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
    return f"{os.cpu_count()} cores of {models[0] if models else platform.processor()}, no GPU"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    seeds = parser.parse_args().seeds
    # A run of one step for each stage fills the cache with faces and the attribute classifier.
    train("name=default_run_setup", "growth.images=[1,1,1,1]", "logger=csv")

    results = []
    for seed in seeds:
        runs = ROOT / "runs" / "default_run" / str(seed)
        shutil.rmtree(runs, ignore_errors=True)
        seconds = train(f"seed={seed}", f"hydra.run.dir={runs}")
        figures = json.loads((runs / "evaluation.json").read_text())["figures"]
        results.append({"seed": seed, "minutes": seconds / 60, **figures})
        if seed == seeds[0]:
            sheet = max((runs / "samples").glob("*.png"))
            shutil.copy(sheet, HERE / "sheet.png")
            shutil.copy(runs / "growth.gif", HERE / "growth.gif")
            shutil.copy(runs / "metrics.csv", HERE / "metrics.csv")
            (HERE / "evaluation.md").write_text((runs / "evaluation.md").read_text())
    (HERE / "results.json").write_text(json.dumps(results, indent=2))
    (HERE / "results.md").write_text(report(results))


def report(results: list[dict]) -> str:
    """Format results.md, one row for each seed."""
    keys = ("minutes", "attribute_accuracy", "attribute_accuracy_shuffled", "attribute_accuracy_real")
    lines = [
        f"Measured {date.today()} on {machine()}; Python {platform.python_version()}, torch {version('torch')}, "
        f"pytorch-lightning {version('pytorch-lightning')}.",
        "",
        "| seed | minutes, start to end | attribute accuracy | shuffled captions | real faces |",
        "|---:|---:|---:|---:|---:|",
    ]
    rows = [(str(result["seed"]), *(result[key] for key in keys)) for result in results]
    if len(results) > 1:
        rows.append(("median", *(statistics.median(result[key] for result in results) for key in keys)))
    lines += [f"| {name} | {minutes:.1f} | {a:.3f} | {b:.3f} | {c:.3f} |" for name, minutes, a, b, c in rows]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
