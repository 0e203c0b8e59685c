"""The `t2f` command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from t2f.cli.entry_point import command_line

app = typer.Typer(
    help="Draw faces from words. Train a model with: python train.py",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def t2f() -> None:
    """Draw faces from words. Train a model with: python train.py"""


Model = Annotated[
    str,
    typer.Option(help="A .ckpt file, a run, an exported folder, or OWNER/NAME on the Hub; else the one that t2f has."),
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed draws the same faces.")]
Truncation = Annotated[float, typer.Option(min=0, max=2, help="Below 1: nearer to a description's most typical face.")]


@app.command()
def generate(
    descriptions: Annotated[list[str], typer.Argument(help="One or more descriptions, each in quotes.")],
    model: Model = "pretrained",
    count: Annotated[int, typer.Option(min=1, max=1000, help="Faces for each description.")] = 8,
    seed: Seed = 0,
    truncation: Truncation = 1.0,
    out: Annotated[Path, typer.Option(help="A .png for all, or a folder for a file each.")] = Path("faces.png"),
) -> None:
    """Draw faces from descriptions: many of one, or a row for each of several, with the same noise in a column."""
    from t2f.cli.generate import generate as draw  # torch takes seconds to import, --help should not

    draw(model, descriptions, count, seed, truncation, out)


@app.command()
def edit(
    before: Annotated[str, typer.Argument(help="A description.")],
    after: Annotated[str, typer.Argument(help="The description that it becomes.")],
    model: Model = "pretrained",
    count: Annotated[int, typer.Option(min=1, max=100, help="Persons, a row each.")] = 4,
    steps: Annotated[int, typer.Option(min=2, max=20, help="Faces in a row, both ends included.")] = 5,
    seed: Seed = 0,
    truncation: Truncation = 1.0,
    out: Annotated[Path, typer.Option(help="The .png to write.")] = Path("edit.png"),
) -> None:
    """Change the words and hold the noise: the same persons, step by step from one description to another."""
    from t2f.cli.edit import edit as draw

    draw(model, before, after, count, steps, seed, truncation, out)


@app.command()
def interpolate(
    before: Annotated[str, typer.Argument(help="The description at the start.")],
    after: Annotated[str, typer.Argument(help="The description at the end.")],
    model: Model = "pretrained",
    count: Annotated[int, typer.Option(min=1, max=16, help="Faces side by side.")] = 4,
    frames: Annotated[int, typer.Option(min=2, max=500, help="Frames from start to end.")] = 24,
    seed: Seed = 0,
    to_seed: Annotated[int | None, typer.Option(min=0, help="The seed at the end, for the persons to change.")] = None,
    truncation: Truncation = 1.0,
    out: Annotated[Path, typer.Option(help="The .gif or .mp4 to write.")] = Path("faces.gif"),
) -> None:
    """Let faces become others, in words or also in noise, as a moving picture."""
    from t2f.cli.interpolate import interpolate as draw

    draw(model, before, after, count, frames, seed, to_seed, truncation, out)


@app.command()
def words(model: Model = "pretrained") -> None:
    """Show the words that a model knows, by what they are about."""
    from t2f.cli.words import words as show

    show(model)


@app.command()
def demo(
    model: Model = "pretrained",
    host: Annotated[str, typer.Option(help="Whose calls to answer: 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The page's address ends with it.")] = 7860,
) -> None:
    """Open a web page on this machine, to type descriptions and see faces."""
    from t2f.cli.demo import demo as serve

    serve(model, host, port)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A run, a .ckpt file, an exported folder, OWNER/NAME, or pretrained.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Settings of conf/evaluate.yaml, as features=inception or data.folder=/where/celeba/is."),
    ] = None,
    count: Annotated[int | None, typer.Option(min=4, help="Faces to draw: evaluation.count.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed gives the same figures.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder for report.md and .json; else the run's.")] = None,
) -> None:
    """Measure how near a model's faces are to real ones, and whether they have what the words ask for."""
    from t2f.cli.evaluate import evaluate as measure

    options = {"evaluation.count": count, "evaluation.seed": seed}
    settings = [f"{name}={value}" for name, value in options.items() if value is not None]
    measure(model, [*(overrides or []), *settings], out)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or folders with runs below them: a sweep's.")],
    captions: Annotated[
        list[str] | None, typer.Option(help="A description to draw, repeated for more; else those of held-out faces.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=100, help="Faces for each description and run.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="All runs draw by the same noise, this seed's.")] = 0,
    out: Annotated[Path, typer.Option(help="The folder for compare.csv and compare.png.")] = Path(),
) -> None:
    """Show several runs side by side: their settings, their figures, their faces."""
    from t2f.cli.compare import compare as show

    show(runs, captions or [], count, seed, out)


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="The folder to write: weights, config and model card.")],
    model: Model = "pretrained",
    onnx: Annotated[bool, typer.Option("--onnx", help="Also as ONNX, checked in onnxruntime.")] = False,
    program: Annotated[bool, typer.Option("--program", help="Also as a torch.export program, checked.")] = False,
    half: Annotated[
        bool, typer.Option("--half", help="Half precision: half the bytes, nearly the same faces.")
    ] = False,
    hub: Annotated[str | None, typer.Option(help="Also upload it, as OWNER/NAME on the Hugging Face Hub.")] = None,
    private: Annotated[bool, typer.Option("--private", help="For you alone, where --hub makes a repository.")] = False,
) -> None:
    """Write a model for others: a folder that `--model` and t2f.load take, with a card that tells what it is."""
    from t2f.cli.export import export as write

    write(model, out, onnx, program, half, hub, private)


@app.command()
def sweep(
    folder: Annotated[Path, typer.Argument(help="A sweep's folder, or a folder of several sweeps.")],
) -> None:
    """Show all jobs of a sweep, finished or not, and write their table and plot."""
    from rich.console import Console

    from t2f.sweeps.report import report

    report(folder, Console())


@app.command()
def dashboard(
    project: Annotated[str, typer.Argument(help="ENTITY/PROJECT on Weights & Biases.")],
) -> None:
    """Lay out the panels of a project on Weights & Biases."""
    from t2f.cli.dashboard import dashboard as lay_out

    lay_out(project)


def run() -> None:
    """The entry point: errors that the user can mend, and signals, end in one sentence."""
    with command_line():
        app()
