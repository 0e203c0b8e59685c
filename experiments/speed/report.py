"""results.json -> results.md and speed.png."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

Table = list[str]


def table(head: list[str], rows: list[list[str]]) -> Table:
    return [
        "| " + " | ".join(head) + " |",
        "|---" + "|---:" * (len(head) - 1) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def peak_of(results: dict[str, Any]) -> dict[str, float]:
    """The largest matrix product seen in any part, FLOPs a second by precision: others may have slowed some of them."""
    seen = [stage["peak"] for stage in results.get("engine", {}).get("stages", {}).values()]
    seen += [results["profile"]["peak"]] if "profile" in results else []
    return {kind: max(peak[kind] for peak in seen) for kind in seen[0]} if seen else {}


def of_engine(part: dict[str, Any]) -> Table:
    stages, peak = part["stages"], part["peak"]
    batches = [stage["batch"] for stage in stages.values()]
    names = list(next(iter(stages.values()))["sides"])
    rates, work, reached = [], [], []
    for name in names:
        kind = "bfloat16" if "bf16" in name else "float32"
        sides = [stage["sides"][name] for stage in stages.values()]
        firsts = [stage["sides"][names[0]]["images a second"] for stage in stages.values()]
        of_side = [side["images a second"] for side in sides]
        rates.append([name, *(f"{rate(a)} ({a / b:.1f}x)" for a, b in zip(of_side, firsts, strict=True))])
        work.append([name, *(f"{side['flops'] / n / 1e9:.2f}" for side, n in zip(sides, batches, strict=True))])
        reached.append([name, *(f"{side['flops'] / side['seconds'] / peak[kind]:.0%}" for side in sides)])
    heads = [f"{size}x{size}" for size in stages]
    rounds = min(side["rounds"] for stage in stages.values() for side in stage["sides"].values())
    return [
        f"Images a second, in turn, medians of {rounds} rounds or more (times the engine's); batches of "
        f"{', '.join(map(str, batches))}:",
        "",
        *table(["side", *heads], rates),
        "Arithmetic, GFLOP an image:",
        "",
        *table(["side", *heads], work),
        "Share that each side reaches, in its precision, of the largest matrix product seen on this machine, "
        f"{peak['float32'] / 1e9:,.0f} GFLOP/s in float32 and {peak['bfloat16'] / 1e9:,.0f} in bfloat16:",
        "",
        *table(["side", *heads], reached),
    ]


def of_memory(part: dict[str, Any]) -> Table:
    stages = part["stages"].values()
    names = list(next(iter(stages))["bytes"])
    rows = [
        [name, *(f"{stage['bytes'][name] / 2**20:,.0f}" if name in stage["bytes"] else "" for stage in stages)]
        for name in names
    ]
    return [
        f"Peak memory of {part['of']}, MiB, a process for each; batches of "
        f"{', '.join(str(stage['batch']) for stage in stages)}:",
        "",
        *table(["side", *(f"{size}x{size}" for size in part["stages"])], rows),
    ]


def of_facegan(part: dict[str, Any]) -> Table:
    sides = part["sides"]
    first = next(iter(sides.values()))["images a second"]
    rows = [
        [
            name,
            rate(each["images a second"]),
            f"{each['images a second'] / first:.1f}x",
            f"{each['flops'] / part['batch'] / 1e9:.2f}",
        ]
        for name, each in sides.items()
    ]
    return [
        f"64x64, batches of {part['batch']}, in turn:",
        "",
        *table(["side", "images/s", "", "GFLOP an image"], rows),
    ]


def of_loader(part: dict[str, Any]) -> Table:
    rows = [[f"{size}x{size}", rate(value)] for size, value in part["images a second"].items()]
    return [
        f"Batches of {part['batch']}, as `auto` has them made for this device:",
        "",
        *table(["faces kept at", "images/s"], rows),
    ]


def of_whole(part: dict[str, Any]) -> Table:
    lines: Table = []
    for name, run in part["runs"].items():
        rates, bare = run["images a second"], run["bare step"]
        stops = ", ".join(f"{change}: {seconds:.2f}" for change, seconds in run["pauses"].items())
        lines += [
            f"{name}: `{run['command']}`, at the default cadence, without evaluations. Images a second in the second "
            "half of each stage:",
            "",
            *table(["", *(f"{size}x{size}" for size in rates)], [["train.py", *map(rate, rates.values())]]),
            f"The bare step reaches {rate(bare['images a second'])} at {bare['stage']}x{bare['stage']}: Lightning, "
            f"callbacks, loggers and batches take {run['overhead']:.1%} of the time.",
            "",
            *([f"Seconds of pause at each growth: {stops}.", ""] if stops else []),
        ]
    return lines


def of_graphs(part: dict[str, Any]) -> Table:
    stages = part["stages"]
    names = list(dict.fromkeys(name for sides in stages.values() for name in sides))
    rows = []
    for name in names:
        batch = next(sides[name]["batch"] for sides in stages.values() if name in sides)
        cells = [
            f"{rate(sides[name]['images a second'])} ({sides[name]['milliseconds a step']:.3g} ms)"
            if name in sides
            else ""
            for sides in stages.values()
        ]
        rows.append([name, str(batch), *cells])
    slowest = max(side["seconds of recording"] for sides in stages.values() for side in sides.values())
    return [
        "Images a second (milliseconds a step), in turn, medians; alpha is 0.5:",
        "",
        *table(["side", "batch", *(f"{size}x{size}" for size in stages)], rows),
        f"Recording the steps of a stage took {slowest:.2f} s at most.",
        "",
    ]


def of_tests(part: dict[str, Any]) -> Table:
    return [f"`pytest -m gpu`: {part['summary'].strip('= ')}.", "", *(f"- {line}" for line in part["failed"]), ""]


def of_profile(part: dict[str, Any]) -> Table:
    steps, peak = part["steps"], part["peak"]
    kinds = list(next(iter(steps.values()))["kinds"])
    reached = [
        [
            name,
            rate(each["images a second"]),
            f"{each['flops an image'] / 1e9:.2f}",
            f"{each['flops a second'] / peak['bfloat16']:.0%}",
        ]
        for name, each in steps.items()
    ]
    shares = [[name, *(f"{each['kinds'][kind]:.0%}" for kind in kinds)] for name, each in steps.items()]
    rest = [
        f"- {name}: " + ", ".join(f"`{row}` {share:.1%}" for row, share in each["largest of the rest"].items())
        for name, each in steps.items()
    ]
    return [
        f"Batches of {part['batch']}; the share is of the largest bfloat16 matrix product "
        f"({peak['bfloat16'] / 1e9:,.0f} GFLOP/s):",
        "",
        *table(["step", "images/s", "GFLOP an image", "of the peak"], reached),
        *table(["step", *kinds], shares),
        "The largest of the rest:",
        "",
        *rest,
        "",
    ]


def of_choices(part: dict[str, Any]) -> Table:
    networks = part["images a second"]
    names = list(next(iter(networks.values())))
    rows = [
        [where, *(f"{rate(rates[name])} ({rates[name] / rates[names[0]]:.2f}x)" for name in names)]
        for where, rates in networks.items()
    ]
    return [
        f"Images a second, batches of {part['batch']}, whole cycles of the lazy penalty, in turn:",
        "",
        *table(["step", *names], rows),
    ]


CLOCKS = {
    "wall": "seconds by the wall",
    "cpu": "seconds that the process had, since others ran beside it, in which caches and memory were shared",
}

PARTS = {
    "engine": ("Beside T2F's engine", of_engine),
    "memory": ("Memory", of_memory),
    "facegan": ("Beside a plain faCeGAN", of_facegan),
    "loader": ("Batches alone", of_loader),
    "whole": ("train.py and the bare step", of_whole),
    "profile": ("Of the machine's peak", of_profile),
    "choices": ("What the code chooses by itself", of_choices),
    "graphs": ("CUDA graphs", of_graphs),
    "tests": ("Tests", of_tests),
}


def draw(part: dict[str, Any], file: Path) -> None:
    """Images a second of each side over the stages."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    sizes = [int(size) for size in part["stages"]]
    for name in next(iter(part["stages"].values()))["sides"]:
        rates = [stage["sides"][name]["images a second"] for stage in part["stages"].values()]
        axes.plot(sizes, rates, marker="o", label=name)
    axes.set(
        xscale="log", yscale="log", xlabel="pixels", ylabel="training images a second", xticks=sizes, xticklabels=sizes
    )
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(file, dpi=100)


def write(results: dict[str, Any], folder: Path) -> None:
    lines = ["Written by `experiments/speed/measure.py`.", ""]
    for name, (title, tell) in PARTS.items():
        if name in results:
            measured = results[name]["measured"]
            lines += [f"## {title}", "", *tell(results[name] | {"peak": peak_of(results)})]
            told = CLOCKS[measured["clock"]]
            lines += [f"*{measured['on']}: {measured['machine']}; torch {measured['torch']}; {told}.*", ""]
    (folder / "results.md").write_text("\n".join(lines))
    if "engine" in results:
        draw(results["engine"], folder / "speed.png")
