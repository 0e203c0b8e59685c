import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fixtures.hub_server import Hub, serve

from t2f import load
from t2f.cli.export import export
from t2f.inference.export.hub import require_hub
from t2f.utils.errors import UserError

constants = pytest.importorskip("huggingface_hub.constants", reason="the Hub's client is not installed")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The client itself, which speaks to a server here instead of huggingface.co."""
    with serve() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        template = f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "token")
        yield server


def write(model: str, out: Path, hub: str | None, private: bool = False) -> None:
    export(model, out, onnx=False, program=False, half=False, hub=hub, private=private)


def test_what_is_uploaded_is_loaded_by_its_name(model: str, hub: Hub, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    write(model, out, "owner/faces", private=True)
    (out / "secret.txt").write_text("not of the model")
    there = {"README.md", "config.json", "model.safetensors"}
    assert hub.repositories["owner/faces"] == {name: (out / name).read_bytes() for name in there}
    assert hub.private["owner/faces"]
    assert 't2f.load("owner/faces")' in hub.repositories["owner/faces"]["README.md"].decode()

    before, after = load(model), load("owner/faces")
    noise = before.noise(2, seed=0)
    assert torch.equal(before.draw(["a man", "a woman"], noise), after.draw(["a man", "a woman"], noise))

    # Again: what is of other weights does not stay beside these, and the repository stays private.
    hub.repositories["owner/faces"] |= {"model.pt2": b"of an earlier export", "notes.txt": b"somebody's"}
    write(model, out, "owner/faces")
    assert set(hub.repositories["owner/faces"]) == {*there, "notes.txt"}
    assert hub.private["owner/faces"]


@pytest.mark.parametrize(
    ("repository", "token", "said"), [("other/faces", "token", "403.*rights"), ("owner/faces", "wrong", "401")]
)
def test_what_the_hub_refuses_is_written_here_and_told(
    model: str,
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    repository: str,
    token: str,
    said: str,
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(UserError, match=rf"faces is written, but could not be uploaded to {repository} \(.*{said}"):
        write(model, tmp_path / "faces", repository)
    assert load(tmp_path / "faces").resolution == 8
    assert not hub.repositories


def test_a_hub_that_is_not_there_is_told(
    model: str,
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="could not be uploaded to owner/faces"):
        write(model, tmp_path / "faces", "owner/faces")


@pytest.mark.parametrize("name", ["faces", "a/b/c", "owner/", "/faces", "owner/fa ces", "../faces", "männer/faces"])
def test_a_name_that_is_no_repositorys_is_told_before_any_work(
    model: str,
    hub: Hub,
    tmp_path: Path,
    name: str,
) -> None:
    with pytest.raises(UserError, match="is no name of a repository: give OWNER/NAME"):
        write(model, tmp_path / "faces", name)
    assert not (tmp_path / "faces").exists()


def test_who_is_not_logged_in_is_told_before_any_work(
    model: str,
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    os.environ.pop("HUGGING_FACE_HUB_TOKEN", None)
    with pytest.raises(UserError, match="log in with hf auth login, or put a token"):
        write(model, tmp_path / "faces", "owner/faces")
    with pytest.raises(UserError, match="--private is of the repository that --hub"):
        write(model, tmp_path / "faces", None, private=True)
    assert not (tmp_path / "faces").exists()


def test_without_the_client_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[hub\]'"):
        require_hub("owner/faces")
