"""Time the generation of a model and test it with hostile captions; write results.md and results.json in this folder.

python experiments/generation/measure.py [--model MODEL] [--hostile 10000]
"""

import argparse
import io
import itertools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from t2f import load
from t2f.cli.generate import generate
from t2f.data.captions.generate import generate_caption
from t2f.inference.pipeline import validate_descriptions
from t2f.utils.errors import UserError

HERE = Path(__file__).parent
LOADING = """
import time
begin = time.perf_counter()
import torch
imported = time.perf_counter()
from t2f import load
faces = load({model!r})
loaded = time.perf_counter()
faces("a smiling woman")
print(imported - begin, loaded - imported, time.perf_counter() - loaded)
"""
WORDS = "a man woman smiling bald with red hair glasses beard and no young old wearing hat not".split()  # noqa: SIM905  # a sentence reads better
FIRST, WHO = ("smiling", "young", "chubby", "pale"), ("man", "woman")
HAIR = ("red", "long", "black", "blond", "brown", "gray", "wavy", "straight")
GENERATED, REFUSED, NOT_FINITE = OUTCOMES = (
    "generated",
    "refused in one sentence",
    "generated with a pixel that is not finite",
)
MARKUP = [
    "<script>alert(1)</script>",
    "${oc.env:HOME}",
    "../../etc/passwd",
    "'; DROP TABLE faces; --",
    "{{7*7}}",
    "%s%n",
]


def kinds(rng: random.Random) -> dict[str, Callable[[], str]]:
    """Return functions that write random captions, by their kind: 12 hostile kinds, and sentences."""
    scripts = [chr(code) for code in range(0x20, 0x2FA20) if unicodedata.category(chr(code)) in ("Lo", "Ll", "Lm")]
    controls = [
        chr(code) for code in (*range(32), *range(0x7F, 0xA0), *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0xFEFF)
    ]

    def random_letters(letters: list[str] | str, minimum: int, maximum: int) -> str:
        return "".join(rng.choice(letters) for _ in range(rng.randint(minimum, maximum)))

    def words(maximum: int = 12) -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(1, maximum)))

    return {
        "words in any order": words,
        "very long": lambda: words(20_000),
        "one endless word": lambda: random_letters("abcdefghij", 1000, 100_000),
        "letters of all scripts": lambda: random_letters(scripts, 1, 60),
        "scripts among words": lambda: f"{words(4)} {random_letters(scripts, 1, 10)} {words(4)}",
        "control characters": lambda: f"{random_letters(controls, 1, 20)}{words(4)}{random_letters(controls, 1, 20)}",
        "any code points": lambda: "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randint(1, 80))),
        "emoji": lambda: f"{words(3)} {random_letters([chr(code) for code in range(0x1F300, 0x1FAFF)], 1, 30)}",
        "combining marks": lambda: words(2) + random_letters([chr(code) for code in range(0x300, 0x36F)], 1, 400),
        "markup": lambda: f"{rng.choice(MARKUP)} {words(3)}",
        "numbers and signs": lambda: random_letters("0123456789+-*/=<>|&^%$#@!?.,;:", 1, 80),
        "blanks": lambda: random_letters(" \t\n\r\u00a0\u3000", 0, 10),
        "sentences": lambda: generate_caption({"Male": rng.randint(0, 1), "Smiling": rng.randint(0, 1)}, rng).text,
    }


def generate_hostile(model: str, count: int, seed: int) -> dict[str, Any]:
    """Generate images from `count` captions of all kinds with `t2f generate`, 100 at a time; count the outcomes.

    A PNG cannot hold values that are not finite, so the pixels are also generated without rounding and checked.
    """
    pipeline = load(model)
    rng = random.Random(seed)
    writers = kinds(rng)
    outcomes = dict.fromkeys(OUTCOMES, 0)
    refused: Counter[str] = Counter()
    slowest = 0.0
    for start in range(0, count, 100):
        captions = []
        for number in range(start, min(start + 100, count)):
            kind = [*writers][number % len(writers)]
            caption = writers[kind]()
            try:
                captions += validate_descriptions([caption], pipeline.conditioner)
            except UserError:
                outcomes[REFUSED] += 1
                refused[kind] += 1
        if not captions:
            continue
        begin = time.perf_counter()
        sizes = image_sizes(model, captions, seed + start)
        slowest = max(slowest, time.perf_counter() - begin)
        assert sizes == [(pipeline.resolution, pipeline.resolution)] * len(captions)
        finite = (
            pipeline.generate_from_text(captions, pipeline.noise(len(captions), seed + start))
            .isfinite()
            .flatten(1)
            .all(dim=1)
        )
        outcomes[GENERATED] += int(finite.sum())
        outcomes[NOT_FINITE] += int((~finite).sum())
    return {
        "captions": count,
        "seed": seed,
        **outcomes,
        "refused by kind": dict(refused),
        "slowest 100, seconds": slowest,
    }


def image_sizes(model: str, captions: list[str], seed: int) -> list[tuple[int, int]]:
    """Run `t2f generate` and return the sizes of its images, one for each caption."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        generate(model, captions, 1, seed, 1.0, Path(folder) / "faces")
        files = sorted((Path(folder) / "faces").iterdir())
        return [Image.open(file).convert("RGB").size for file in files]


def seconds(task: Callable[[], object], rounds: int) -> dict[str, float]:
    """Time a task in several rounds, after a first one that is not counted."""
    task()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        task()
        times.append(time.perf_counter() - begin)
    return {"median": statistics.median(times), "minimum": min(times), "maximum": max(times), "rounds": rounds}


def in_new_processes(model: str, rounds: int) -> dict[str, float]:
    """Return medians over new processes: import of torch, import of t2f with loading, first face."""
    timings = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", LOADING.format(model=model)], check=True, capture_output=True, text=True
        )
        timings.append([float(each) for each in done.stdout.split()])
    importing, loading, first = (statistics.median(column) for column in zip(*timings, strict=True))
    return {"import torch": importing, "import t2f and load": loading, "first face": first, "rounds": rounds}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="pretrained")
    parser.add_argument("--hostile", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    startup = in_new_processes(arguments.model, 7)
    pipeline = load(arguments.model)
    captions = [f"a {first} {who} with {hair} hair" for first, who, hair in itertools.product(FIRST, WHO, HAIR)]
    generation = seconds(lambda: pipeline(captions), 15)
    hostile = generate_hostile(arguments.model, arguments.hostile, arguments.seed)
    results = {
        "model": arguments.model,
        "resolution": pipeline.resolution,
        "images seen": pipeline.images_seen,
        "startup": startup,
        "64 faces of 64 captions": generation,
        "hostile": hostile,
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=2))
    page = [
        f"Written by `experiments/generation/measure.py` on {date.today()}; {torch.get_num_threads()} threads, "
        f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}; torch {version('torch')}. Model: "
        f"{arguments.model}, {pipeline.resolution} pixels, after {pipeline.images_seen:,} images.",
        "",
        "| what | seconds, median | rounds |",
        "|---|---:|---:|",
        *(f"| {name} | {value:.2f} | {startup['rounds']} |" for name, value in startup.items() if name != "rounds"),
        f"| 64 faces of 64 captions | {generation['median']:.2f} | {generation['rounds']} |",
        "",
        f"{hostile['captions']:,} captions of {len(kinds(random.Random()))} kinds, seed {hostile['seed']}: "
        + ", ".join(f"{hostile[outcome]:,} {outcome}" for outcome in OUTCOMES)
        + f". The slowest 100 took {hostile['slowest 100, seconds']:.1f} seconds.",
        "",
    ]
    (HERE / "results.md").write_text("\n".join(page))
    print("\n".join(page))


if __name__ == "__main__":
    main()
