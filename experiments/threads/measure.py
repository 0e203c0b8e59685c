"""Time a step of the default run, alone and beside other programs: python experiments/threads/measure.py

In each situation (alone, beside a busy loop, beside another training) several processes run the same steps in turn.
They differ in the number of threads (one, or one for each core) and in what a waiting thread does: it spins, as OpenMP
does by default, or it sleeps, which is t2f's default. Writes the medians and the load of the machine to `results.json`
and `results.md` in this folder.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RESOLUTIONS = (4, 16, 32)
BATCH, WORDS = 16, 150
BUSY_LOOP = [sys.executable, "-c", "while True: pass"]
SPINS, SLEEPS = "spins", "sleeps"
CORES = os.cpu_count() or 1
SIDES = {
    (threads, waiting): f"{threads} thread{'s' * (threads > 1)}" + (f", {waiting}" if threads > 1 else "")
    for threads in dict.fromkeys((1, CORES))
    for waiting in (SPINS, SLEEPS)
    if threads > 1 or waiting == SLEEPS  # a single thread never waits
}


def serve() -> None:
    """Read lines `resolution count` from stdin; run these steps and print their seconds."""
    sys.path[:0] = [str(HERE.parent / "speed")]
    import torch
    from sides import made_up_batch, stand_at, system_of

    device = torch.device("cpu")
    system = system_of([f"conditioning.size={WORDS}"], device)
    faces = made_up_batch(BATCH, system.max_resolution, 50, device)
    lengths = torch.arange(BATCH)[:, None] + 7  # 7 to 22 words, as in captions of synthetic faces
    faces["conditions"] = torch.randint(1, WORDS, (BATCH, 50)) * (torch.arange(50) < lengths)
    for line in sys.stdin:
        resolution, count = map(int, line.split())
        stand_at(system, resolution, BATCH, alpha=1.0)
        start = time.perf_counter()
        for number in range(count):
            system.train_on(faces, system.plan(number))
        print(time.perf_counter() - start, flush=True)


class Server:
    """A process that runs steps on request."""

    def __init__(self, threads: int, waiting: str) -> None:
        environment = {
            key: value for key, value in os.environ.items() if key not in ("OMP_WAIT_POLICY", "KMP_BLOCKTIME")
        }
        environment["OMP_NUM_THREADS"] = str(threads)
        # t2f sets the policy unless torch has been imported before.
        first = "torch" if waiting == SPINS else "t2f"
        code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import {first}; import measure; measure.serve()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, resolution: int, count: int) -> None:
        assert self.process.stdin is not None
        print(resolution, count, file=self.process.stdin, flush=True)

    def answer(self) -> float:
        assert self.process.stdout is not None
        return float(self.process.stdout.readline())

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def beside(situation: str, threads: int, waiting: str, resolution: int):
    """Run another process beside the measured one. Another training has the same threads and policy."""
    with ExitStack() as stack:
        if situation == "beside a busy loop":
            loop = subprocess.Popen(BUSY_LOOP)
            stack.callback(loop.wait)
            stack.callback(loop.kill)
        elif situation == "beside another training":
            other = Server(threads, waiting)
            stack.callback(other.end)
            other.ask(resolution, 1)
            other.answer()
            other.ask(resolution, 10**9)
        yield


def measure(rounds: int, steps: int, situations: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Return milliseconds of a step by situation, resolution and side."""
    servers = {side: Server(*side) for side in SIDES}
    results: dict[str, dict[str, dict[str, float]]] = {}
    try:
        for situation in situations:
            results[situation] = {}
            for resolution in RESOLUTIONS:
                taken: dict[str, list[float]] = {name: [] for name in SIDES.values()}
                for number in range(rounds + 1):
                    for side, name in SIDES.items():
                        with beside(situation, *side, resolution):
                            servers[side].ask(resolution, steps)
                            seconds = servers[side].answer()
                        if number:  # the first round warms up
                            taken[name].append(1000 * seconds / steps)
                medians = {name: statistics.median(each) for name, each in taken.items()}
                results[situation][str(resolution)] = medians
                print(situation, resolution, {name: round(each) for name, each in medians.items()}, flush=True)
    finally:
        for server in servers.values():
            server.end()
    return results


def report(results: dict, load: list[float], rounds: int, steps: int) -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    names = list(SIDES.values())
    table = [
        f"Written by `experiments/threads/measure.py` on {date.today()}; {CORES} cores of {model}, no GPU, at a load "
        f"of {load[0]:.1f} before and {load[1]:.1f} after; torch {version('torch')}, float32. Milliseconds of a step "
        f"of {BATCH} images: medians of {rounds} rounds of {steps} steps.",
        "",
        f"| | pixels | {' | '.join(names)} |",
        "|---|---:|" + "---:|" * len(names),
    ]
    for situation, by_resolution in results.items():
        for resolution, medians in by_resolution.items():
            table.append(f"| {situation} | {resolution} | {' | '.join(f'{medians[name]:.0f}' for name in names)} |")
    return "\n".join([*table, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=16, help="steps in a turn; 16 are two cycles of the lazy penalty")
    situations = ["alone", "beside a busy loop", "beside another training"]
    parser.add_argument("--situations", nargs="+", default=situations, choices=situations)
    arguments = parser.parse_args()
    before = os.getloadavg()[0]
    results = measure(arguments.rounds, arguments.steps, arguments.situations)
    load = [before, os.getloadavg()[0]]
    (HERE / "results.json").write_text(json.dumps({"load": load, "milliseconds": results}, indent=2) + "\n")
    (HERE / "results.md").write_text(report(results, load, arguments.rounds, arguments.steps))


if __name__ == "__main__":
    main()
