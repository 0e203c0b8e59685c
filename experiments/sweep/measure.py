"""Sweep 24 short jobs, of which three fail, with joblib and with Ray; repeat both sweeps; write this folder's report.

    python experiments/sweep/measure.py

Each job starts from a checkpoint of its seed. The checkpoint of seed 5 is missing, so its three jobs fail. Then it is
restored, and the same command runs again.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RUNS = Path("runs/sweep_study")
SHORT = [
    *("resolution=8", "data.count=2000", "data.held_out=200", "logger=csv", "evaluation.count=200"),
    *("model.networks.generator.channels=[32,32]", "growth.resolutions=[4,8]", "growth.images=[400,1600]"),
    *("growth.fade_in=0.5", "growth.batch_sizes=[16,16]"),
]
JOBS = ["loss=logistic,hinge,relativistic", "seed=range(0,8)", f"ckpt_path={RUNS}/starts/${{seed}}.ckpt"]
LAUNCHERS = {
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "Ray": ["hydra/launcher=ray", "hydra.launcher.ray.init.num_cpus=2"],
}


def train(*overrides: str) -> tuple[int, str, float]:
    """Run train.py; return its exit status, its output and its minutes."""
    start = time.perf_counter()
    command = [sys.executable, "train.py", *overrides, *SHORT]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout, (time.perf_counter() - start) / 60


def sweep(name: str, launcher: list[str]) -> dict[str, object]:
    """Run one sweep; return what its output and its table say."""
    folder = RUNS / name
    status, output, minutes = train("-m", *JOBS, *launcher, f"hydra.sweep.dir={folder}")
    if "Sweep of 24 jobs" not in output:
        raise SystemExit(output)
    listed = re.findall(r"^(\d+) of 24 jobs failed:$", output, flags=re.MULTILINE)
    with (ROOT / folder / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    written = {row["job"]: (ROOT / folder / row["job"] / "job.json").stat().st_mtime_ns for row in rows}
    return {
        "status": status,
        "minutes": minutes,
        "rows": rows,
        "written": written,
        "ends": Counter(row["status"] for row in rows),
        "listed as failed": int(listed[0]) if listed else 0,
        "errors": sorted({row["error"] for row in rows if row["error"]}),
    }


def main() -> None:
    shutil.rmtree(ROOT / RUNS, ignore_errors=True)
    starts = ROOT / RUNS / "starts"
    starts.mkdir(parents=True)
    status, output, _ = train(f"hydra.run.dir={RUNS}/start")  # also fills the cache
    if status:
        raise SystemExit(output)
    for seed in range(8):
        shutil.copy(ROOT / RUNS / "start/checkpoints/4px.ckpt", starts / f"{seed}.ckpt")

    lines, results = [], {}
    for name, launcher in LAUNCHERS.items():
        (starts / "5.ckpt").rename(starts / "5.away")
        first = sweep(name, launcher)
        (starts / "5.away").rename(starts / "5.ckpt")
        second = sweep(name, launcher)
        run_again = [job for job, at in second["written"].items() if first["written"][job] != at]
        results[name] = {
            **{f"first {key}": value for key, value in first.items() if key not in ("rows", "written")},
            **{f"second {key}": value for key, value in second.items() if key not in ("rows", "written")},
            "jobs of the second run": run_again,
        }
        for which, one, again in (("first", first, ""), ("again", second, ", ".join(run_again))):
            ends = one["ends"]
            cells = [name, which, ends["finished"], ends["failed"], one["listed as failed"], again, one["status"]]
            lines.append("| " + " | ".join(map(str, [*cells, f"{one['minutes']:.1f}"])) + " |")
        if name == "joblib":
            for file in ("sweep.csv", "sweep.png"):
                shutil.copy(ROOT / RUNS / name / file, HERE / file)
    packages = ("torch", "hydra-core", "hydra-joblib-launcher", "hydra-ray-launcher", "ray", "joblib")
    page = [
        f"Written by `experiments/sweep/measure.py` on {date.today()}; {os.cpu_count()} cores; "
        + ", ".join(f"{package} {version(package)}" for package in packages)
        + ".",
        "",
        "| launcher | run | finished | failed | listed as failed | jobs run again | exit status | minutes |",
        "|---|---|---:|---:|---:|---|---:|---:|",
        *lines,
        "",
        *(f"- {name}: {error}" for name, result in results.items() for error in result["first errors"]),
        "",
    ]
    (HERE / "results.md").write_text("\n".join(page))
    (HERE / "results.json").write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
