import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from t2f import load
from t2f.inference.load import save_folder
from t2f.utils.errors import UserError


@pytest.fixture
def exported(model: str, tmp_path: Path) -> Path:
    save_folder(load(model), tmp_path / "exported")
    return tmp_path / "exported"


def test_a_folder_generates_the_same_images_as_its_checkpoint(model: str, exported: Path) -> None:
    assert sorted(file.name for file in exported.iterdir()) == ["config.json", "model.safetensors"]
    before, after = load(model), load(exported)
    noise = before.noise(3, seed=1)
    captions = ["a man", "a smiling woman with red hair", "glasses"]
    assert torch.equal(before.generate_from_text(captions, noise), after.generate_from_text(captions, noise))
    assert before.metadata == after.metadata


def test_half_precision_halves_the_file_and_barely_changes_the_images(
    model: str, exported: Path, tmp_path: Path
) -> None:
    save_folder(load(model), tmp_path / "half", half=True)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (tmp_path / "half", exported)]
    assert sizes[0] < 0.6 * sizes[1]
    noise = load(exported).noise(4, seed=1)
    full, half = (load(folder).generate_from_text(["a man"] * 4, noise) for folder in (exported, tmp_path / "half"))
    torch.testing.assert_close(half, full, atol=0.02, rtol=0)


def test_a_pipeline_is_called_with_descriptions(model: str) -> None:
    pipe = load(model)
    assert [image.size for image in pipe("a smiling woman")] == [(8, 8)]
    images = pipe(["a man", "a woman"], count=3, seed=4)
    assert len(images) == 6
    assert images[0].tobytes() == pipe("a man", seed=4)[0].tobytes()
    with pytest.raises(UserError, match="count must be at least 1, but is 0"):
        pipe("a man", count=0)
    with pytest.raises(UserError, match="Description 1 is empty"):
        pipe("")
    with pytest.raises(UserError, match="There is no description"):
        pipe([])
    with pytest.raises(UserError, match="The seed must be from 0 to 9223372036854775807, but is -1"):
        pipe("a man", seed=-1)
    with pytest.raises(UserError, match="but is 1606938044258990275541962092341162602522202993782792835301376"):
        pipe("a man", seed=2**200)


def test_ignored_words_give_a_warning(model: str) -> None:
    pipe = load(model)
    with pytest.warns(UserWarning, match="purple"):
        pipe("a man with purple hair")
    with pytest.raises(UserError, match="The truncation must be from 0 to 2, but is 5"):
        pipe("a man", truncation=5)


def test_repr_describes_the_model(model: str) -> None:
    assert re.fullmatch(r"<Pipeline: 8x8, \d+ words, [\d,]+ images seen>", repr(load(model)))


def test_missing_and_damaged_files_are_reported(exported: Path, tmp_path: Path) -> None:
    def broken(name: str, file: str, content: bytes | None) -> Path:
        folder = tmp_path / name
        shutil.copytree(exported, folder)
        (folder / file).unlink()
        if content is not None:
            (folder / file).write_bytes(content)
        return folder

    for name in ("config.json", "model.safetensors"):
        with pytest.raises(UserError, match=rf"is incomplete: {name} is missing"):
            load(broken(f"without_{name}", name, None))
    for name, content in (("b", b"{"), ("c", b"\xff\xfe\x00"), ("d", b"[]"), ("e", b"{}"), ("f", b"[" * 100_000)):
        with pytest.raises(UserError, match=str(tmp_path / name)):
            load(broken(name, "config.json", content))
    weights = (exported / "model.safetensors").read_bytes()
    for name, content in (("g", b""), ("h", weights[: len(weights) // 2]), ("i", b"\x80\x04\x95" * 10)):
        with pytest.raises(UserError, match="is damaged"):
            load(broken(name, "model.safetensors", content))


def test_an_untrusted_config_cannot_call_other_code(exported: Path) -> None:
    metadata = json.loads((exported / "config.json").read_text())
    config = metadata["config"].replace("t2f.text.lstm.LSTMEncoder", "os.system")
    assert config != metadata["config"]
    (exported / "config.json").write_text(json.dumps({**metadata, "config": config}))
    with pytest.raises(UserError, match=r"calls os\.system, which is not part of t2f"):
        load(exported)


def test_only_the_vocabulary_of_a_tokenizer_is_used(exported: Path) -> None:
    """An untrusted normalizer could make a description grow without limit."""
    metadata = json.loads((exported / "config.json").read_text())
    tokenizer = json.loads(metadata["conditioner"]["tokenizer"])
    double = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}
    tokenizer["normalizer"]["normalizers"] += 10 * [double]
    wrong = {**metadata, "conditioner": {**metadata["conditioner"], "tokenizer": json.dumps(tokenizer)}}
    (exported / "config.json").write_text(json.dumps(wrong))
    assert len(load(exported)("a bald man with a beard")) == 1
    wrong["conditioner"]["max_tokens"] = 5_000_000
    (exported / "config.json").write_text(json.dumps(wrong))
    with pytest.raises(UserError, match="max_tokens must be from 1 to 10,000, but is 5000000"):
        load(exported)


def test_a_config_with_yaml_aliases_is_refused(exported: Path) -> None:
    metadata = json.loads((exported / "config.json").read_text())
    metadata["config"] += "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    (exported / "config.json").write_text(json.dumps(metadata))
    with pytest.raises(UserError, match="its config has YAML aliases"):
        load(exported)


@pytest.mark.parametrize(
    "wrong",
    [
        {"resolution": 4096},
        {"resolution": "8"},
        {"resolution": 8.0},
        {"alpha": "x"},
        {"alpha": 2},
        {"images_seen": "many"},
    ],
)
def test_metadata_that_does_not_match_the_model_is_refused(exported: Path, wrong: dict[str, object]) -> None:
    metadata = json.loads((exported / "config.json").read_text())
    (exported / "config.json").write_text(json.dumps({**metadata, **wrong}))
    with pytest.raises(UserError, match="contains a model that this version of t2f cannot build"):
        load(exported)


def test_a_config_with_huge_networks_is_refused_before_they_are_allocated(exported: Path) -> None:
    metadata = json.loads((exported / "config.json").read_text())
    config = re.sub(r"hidden_dim: \d+", "hidden_dim: 10000000", metadata["config"])
    assert config != metadata["config"]
    (exported / "config.json").write_text(json.dumps({**metadata, "config": config}))
    with pytest.raises(UserError, match=r"cannot build: Error\(s\) in loading"):
        load(exported)


def test_nan_weights_are_refused(exported: Path) -> None:
    weights = load_file(exported / "model.safetensors")
    name = next(name for name in weights if name.startswith("generator"))
    save_file({**weights, name: torch.full_like(weights[name], float("nan"))}, exported / "model.safetensors")
    with pytest.raises(UserError, match="it generates pixels that are not finite"):
        load(exported)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/such/folder", "There is no file or folder no/such/folder"),
        ("none.ckpt", "There is no file or folder none.ckpt"),
        ("./none/here", "There is no file or folder none/here"),
        ("runs/mistyped", "There is no mistyped in the folder runs; for the model of that name on the Hub"),
        ("x" * 5000, "xxxx... is not a valid file name"),
    ],
)
def test_a_name_without_a_model_is_reported(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        load(name)


def test_a_name_that_is_not_a_path_is_downloaded_from_the_hub(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="the Hub's client is not installed")
    requests = []

    def snapshot(repository: str, revision: str | None, allow_patterns: list[str]) -> str:
        requests.append((repository, revision))
        assert allow_patterns == ["model.safetensors", "config.json", "README.md", "report.json"]
        return str(exported)

    monkeypatch.setattr(hub, "snapshot_download", snapshot)
    assert load("somebody/faces").resolution == 8
    assert load("somebody/faces@v1.0").resolution == 8
    assert requests == [("somebody/faces", None), ("somebody/faces", "v1.0")]
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"install its client with pip install -e '\.\[hub\]'"):
        load("somebody/faces")


def test_a_failed_download_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub", reason="the Hub's client is not installed")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="downloading it from the Hugging Face Hub failed"):
        load("somebody/missing")
