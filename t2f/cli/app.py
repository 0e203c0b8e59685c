"""The `t2f` command line: the options of each command. The functions behind them take the same arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from t2f.cli.entry_point import command_line

app = typer.Typer(
    help="Text-to-face GANs: generate, evaluate and export. Train a model with: python train.py",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def t2f() -> None:
    """Text-to-face GANs: generate, evaluate and export. Train a model with: python train.py"""


Model = Annotated[
    str,
    typer.Option(help="A .ckpt file, a run, an exported folder, OWNER/NAME on the Hub, pretrained or photos."),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the noise.")]
Truncation = Annotated[
    float, typer.Option(min=0, max=2, help="Noise scale: below 1, faces are less diverse and more typical.")
]


@app.command()
def generate(
    descriptions: Annotated[list[str], typer.Argument(help="One or more descriptions, each in quotes.")],
    model: Model = "pretrained",
    count: Annotated[int, typer.Option(min=1, max=1000, help="Number of faces for each description.")] = 8,
    seed: Seed = 0,
    truncation: Truncation = 1.0,
    out: Annotated[Path, typer.Option(help="A .png for one sheet, or a folder for one file per face.")] = Path(
        "faces.png"
    ),
) -> None:
    """Generate faces from descriptions: a grid for one, or rows for several with the same noise in a column."""
    from t2f.cli.generate import generate as command  # here, because torch takes seconds to import

    command(model, descriptions, count, seed, truncation, out)


@app.command()
def edit(
    before: Annotated[str, typer.Argument(help="The description of the first column.")],
    after: Annotated[str, typer.Argument(help="The description of the last column.")],
    model: Model = "pretrained",
    count: Annotated[int, typer.Option(min=1, max=100, help="Number of rows; a row has one noise vector.")] = 4,
    steps: Annotated[int, typer.Option(min=2, max=20, help="Number of columns, both ends included.")] = 5,
    seed: Seed = 0,
    truncation: Truncation = 1.0,
    out: Annotated[Path, typer.Option(help="The .png to write.")] = Path("edit.png"),
) -> None:
    """Change the description and keep the noise: the same faces, in steps from one description to another."""
    from t2f.cli.edit import edit as command

    command(model, before, after, count, steps, seed, truncation, out)


@app.command()
def interpolate(
    before: Annotated[str, typer.Argument(help="The description of the first frame.")],
    after: Annotated[str, typer.Argument(help="The description of the last frame.")],
    model: Model = "pretrained",
    count: Annotated[int, typer.Option(min=1, max=16, help="Number of faces side by side.")] = 4,
    frames: Annotated[
        int, typer.Option(min=2, max=500, help="Number of frames from start to end; they are then played backwards.")
    ] = 24,
    seed: Seed = 0,
    to_seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the noise in the last frame; default: fixed noise.")
    ] = None,
    truncation: Truncation = 1.0,
    out: Annotated[Path, typer.Option(help="The .gif or .mp4 to write.")] = Path("faces.gif"),
) -> None:
    """Write an animation between two descriptions, and optionally between two noise vectors."""
    from t2f.cli.interpolate import interpolate as command

    command(model, before, after, count, frames, seed, to_seed, truncation, out)


@app.command()
def words(model: Model = "pretrained") -> None:
    """Show the vocabulary of a model by topic."""
    from t2f.cli.words import words as command

    command(model)


@app.command()
def demo(
    model: Annotated[
        list[str] | None,
        typer.Option(help="As for generate. Repeat it to offer several; default: all included models."),
    ] = None,
    host: Annotated[str, typer.Option(help="Network interface to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
) -> None:
    """Serve a web page that generates faces from descriptions."""
    from t2f.cli.demo import demo as command
    from t2f.inference.load import INCLUDED

    command(model or INCLUDED, host, port)


@app.command()
def evaluate(
    model: Annotated[
        str, typer.Argument(help="A run, a .ckpt file, an exported folder, OWNER/NAME, pretrained or photos.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Settings of conf/evaluate.yaml, such as features=inception or data.folder=/path/to/celeba."
        ),
    ] = None,
    count: Annotated[int | None, typer.Option(min=4, help="Number of faces to generate (evaluation.count).")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the evaluation (evaluation.seed).")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.md and report.json; default: the run's.")] = None,
) -> None:
    """Measure image quality, diversity and text alignment of a model."""
    from t2f.cli.evaluate import evaluate as command

    options = {"evaluation.count": count, "evaluation.seed": seed}
    settings = [f"{name}={value}" for name, value in options.items() if value is not None]
    command(model, [*(overrides or []), *settings], out)


@app.command()
def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of runs, or folders with runs below them, such as a sweep.")
    ],
    captions: Annotated[
        list[str] | None,
        typer.Option(help="A description; repeat the option for more. Default: captions of held-out faces."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=100, help="Number of faces for each description and run.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise, which is the same for all runs.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for compare.csv and compare.png.")] = Path(),
) -> None:
    """Compare the settings, metrics and generated faces of several runs."""
    from t2f.cli.compare import compare as command

    command(runs, captions or [], count, seed, out)


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="Folder for the weights, the config and the model card.")],
    model: Model = "pretrained",
    onnx: Annotated[bool, typer.Option("--onnx", help="Also export to ONNX, and check it with onnxruntime.")] = False,
    program: Annotated[bool, typer.Option("--program", help="Also export and check a torch.export program.")] = False,
    half: Annotated[
        bool, typer.Option("--half", help="Store float16 weights: half the size, nearly equal images.")
    ] = False,
    hub: Annotated[str | None, typer.Option(help="Also upload to OWNER/NAME on the Hugging Face Hub.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Create a private repository with --hub.")] = False,
) -> None:
    """Export a model with a model card to a folder that `--model` and `t2f.load` accept."""
    from t2f.cli.export import export as command

    command(model, out, onnx, program, half, hub, private)


@app.command()
def sweep(
    folder: Annotated[Path, typer.Argument(help="Folder of a sweep, or of several sweeps.")],
) -> None:
    """Show the jobs of a sweep, finished or not, and write a table and a plot."""
    from rich.console import Console

    from t2f.sweeps.report import report

    report(folder, Console())


@app.command()
def dashboard(
    project: Annotated[str, typer.Argument(help="ENTITY/PROJECT on Weights & Biases.")],
) -> None:
    """Create a workspace for a project on Weights & Biases."""
    from t2f.cli.dashboard import dashboard as command

    command(project)


def run() -> None:
    """Run the command line; user errors and signals end in one sentence."""
    with command_line():
        app()
