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


def test_a_folder_draws_what_its_checkpoint_draws(model: str, exported: Path) -> None:
    assert sorted(file.name for file in exported.iterdir()) == ["config.json", "model.safetensors"]
    before, after = load(model), load(exported)
    noise = before.noise(3, seed=1)
    captions = ["a man", "a smiling woman with red hair", "glasses"]
    assert torch.equal(before.draw(captions, noise), after.draw(captions, noise))
    assert before.card == after.card


def test_half_precision_draws_nearly_the_same_from_half_the_bytes(model: str, exported: Path, tmp_path: Path) -> None:
    save_folder(load(model), tmp_path / "half", half=True)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (tmp_path / "half", exported)]
    assert sizes[0] < 0.6 * sizes[1]
    whole, half = load(exported), load(tmp_path / "half")
    noise = whole.noise(4, seed=1)
    torch.testing.assert_close(half.draw(["a man"] * 4, noise), whole.draw(["a man"] * 4, noise), atol=0.02, rtol=0)


def test_three_lines_of_python(model: str) -> None:
    faces = load(model)
    one = faces("a smiling woman")
    assert [face.size for face in one] == [(8, 8)]
    several = faces(["a man", "a woman"], count=3, seed=4)
    assert len(several) == 6
    assert several[0].tobytes() == faces("a man", seed=4)[0].tobytes()
    with pytest.raises(UserError, match="count is 0"):
        faces("a man", count=0)
    with pytest.raises(UserError, match="Description 1 is empty"):
        faces("")
    with pytest.raises(UserError, match="no description to draw"):
        faces([])
    with pytest.raises(UserError, match="seed is -1"):
        faces("a man", seed=-1)
    with pytest.raises(UserError, match="seed is 1606938044258990275541962092341162602522202993782792835301376"):
        faces("a man", seed=2**200)


def test_what_python_asks_for_and_is_ignored_is_warned_of(model: str) -> None:
    faces = load(model)
    with pytest.warns(UserWarning, match="purple"):
        faces("a man with purple hair")
    with pytest.raises(UserError, match="truncation is 5"):
        faces("a man", truncation=5)


def test_a_model_says_what_it_is(model: str) -> None:
    assert re.fullmatch(r"<Painter: 8x8, \d+ words, [\d,]+ images seen>", repr(load(model)))


def test_what_is_missing_or_broken_is_named(exported: Path, tmp_path: Path) -> None:
    def broken(name: str, file: str, content: bytes | None) -> Path:
        folder = tmp_path / name
        shutil.copytree(exported, folder)
        (folder / file).unlink()
        if content is not None:
            (folder / file).write_bytes(content)
        return folder

    for name in ("config.json", "model.safetensors"):
        with pytest.raises(UserError, match=rf"is no whole model: {name} is missing"):
            load(broken(f"without_{name}", name, None))
    for name, content in (("b", b"{"), ("c", b"\xff\xfe\x00"), ("d", b"[]"), ("e", b"{}"), ("f", b"[" * 100_000)):
        with pytest.raises(UserError, match=str(tmp_path / name)):
            load(broken(name, "config.json", content))
    whole = (exported / "model.safetensors").read_bytes()
    for name, content in (("g", b""), ("h", whole[: len(whole) // 2]), ("i", b"\x80\x04\x95" * 10)):
        with pytest.raises(UserError, match="is no whole model"):
            load(broken(name, "model.safetensors", content))


def test_a_strangers_config_calls_nothing_but_our_networks(exported: Path) -> None:
    card = json.loads((exported / "config.json").read_text())
    config = card["config"].replace("t2f.text.lstm.LSTMEncoder", "os.system")
    assert config != card["config"]
    (exported / "config.json").write_text(json.dumps({**card, "config": config}))
    with pytest.raises(UserError, match=r"asks to call os\.system, which is not ours"):
        load(exported)


def test_a_tokenizer_is_taken_by_its_words_alone(exported: Path) -> None:
    """Rules for texts could double a description without end."""
    card = json.loads((exported / "config.json").read_text())
    tokenizer = json.loads(card["conditioner"]["tokenizer"])
    double = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}
    tokenizer["normalizer"]["normalizers"] += 10 * [double]
    wrong = {**card, "conditioner": {**card["conditioner"], "tokenizer": json.dumps(tokenizer)}}
    (exported / "config.json").write_text(json.dumps(wrong))
    assert len(load(exported)("a bald man with a beard")) == 1
    wrong["conditioner"]["max_tokens"] = 5_000_000
    (exported / "config.json").write_text(json.dumps(wrong))
    with pytest.raises(UserError, match="max_tokens is 5000000: it must be from 1 to 10,000"):
        load(exported)


def test_a_config_that_repeats_itself_by_reference_is_refused(exported: Path) -> None:
    card = json.loads((exported / "config.json").read_text())
    card["config"] += "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    (exported / "config.json").write_text(json.dumps(card))
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
def test_a_card_that_is_not_true_of_its_model_is_refused(exported: Path, wrong: dict[str, object]) -> None:
    card = json.loads((exported / "config.json").read_text())
    (exported / "config.json").write_text(json.dumps({**card, **wrong}))
    with pytest.raises(UserError, match="holds a model that this version of t2f cannot build"):
        load(exported)


def test_a_config_that_would_fill_the_memory_is_refused_before_it_does(exported: Path) -> None:
    card = json.loads((exported / "config.json").read_text())
    config = re.sub(r"hidden_dim: \d+", "hidden_dim: 10000000", card["config"])
    assert config != card["config"]
    (exported / "config.json").write_text(json.dumps({**card, "config": config}))
    with pytest.raises(UserError, match=r"cannot build: Error\(s\) in loading"):
        load(exported)


def test_weights_that_are_not_numbers_are_refused(exported: Path) -> None:
    weights = load_file(exported / "model.safetensors")
    name = next(name for name in weights if name.startswith("generator"))
    save_file({**weights, name: torch.full_like(weights[name], float("nan"))}, exported / "model.safetensors")
    with pytest.raises(UserError, match="it draws pixels that are not numbers"):
        load(exported)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no/such/folder", "There is no file or folder no/such/folder"),
        ("none.ckpt", "There is no file or folder none.ckpt"),
        ("./none/here", "There is no file or folder none/here"),
        ("runs/mistyped", "There is no mistyped in the folder runs; for the Hub's model"),  # which is not asked
        ("x" * 5000, "No file or folder can be named xxxx"),
    ],
)
def test_a_name_of_nothing_is_said_so(name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said):
        load(name)


def test_the_hub_is_asked_for_what_is_no_path(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client is given one of its own cached snapshots: a folder in which other files may stand, too."""
    hub = pytest.importorskip("huggingface_hub", reason="the Hub's client is not installed")
    asked = []

    def snapshot(repository: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((repository, revision))
        assert allow_patterns == ["model.safetensors", "config.json", "README.md", "report.json"]
        return str(exported)

    monkeypatch.setattr(hub, "snapshot_download", snapshot)
    assert load("somebody/faces").resolution == 8
    assert load("somebody/faces@v1.0").resolution == 8
    assert asked == [("somebody/faces", None), ("somebody/faces", "v1.0")]
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[hub\]' installs what downloads it"):
        load("somebody/faces")


def test_a_name_that_the_hub_cannot_find_ends_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub", reason="the Hub's client is not installed")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="nor can it be had from the Hub"):
        load("somebody/who-is-not-there")
