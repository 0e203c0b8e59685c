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
    """Redirect the real client from huggingface.co to a local server."""
    with serve() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        template = f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "token")
        yield server


def export_to(model: str, out: Path, hub: str | None, private: bool = False) -> None:
    export(model, out, onnx=False, program=False, half=False, hub=hub, private=private)


def test_an_uploaded_model_is_loaded_by_its_name(model: str, hub: Hub, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    export_to(model, out, "owner/faces", private=True)
    (out / "secret.txt").write_text("not part of the model")
    files = {"README.md", "config.json", "model.safetensors"}
    assert hub.repositories["owner/faces"] == {name: (out / name).read_bytes() for name in files}
    assert hub.private["owner/faces"]
    assert 't2f.load("owner/faces")' in hub.repositories["owner/faces"]["README.md"].decode()

    before, after = load(model), load("owner/faces")
    noise = before.noise(2, seed=0)
    expected, actual = (pipeline.generate_from_text(["a man", "a woman"], noise) for pipeline in (before, after))
    assert torch.equal(expected, actual)

    # A second upload deletes files of other weights and does not change the visibility.
    hub.repositories["owner/faces"] |= {"model.pt2": b"of an earlier export", "notes.txt": b"somebody's"}
    export_to(model, out, "owner/faces")
    assert set(hub.repositories["owner/faces"]) == {*files, "notes.txt"}
    assert hub.private["owner/faces"]


@pytest.mark.parametrize(
    ("repository", "token", "message"), [("other/faces", "token", "403.*rights"), ("owner/faces", "wrong", "401")]
)
def test_a_refused_upload_keeps_the_local_folder_and_is_reported(
    model: str,
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    repository: str,
    token: str,
    message: str,
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(UserError, match=rf"faces, but the upload to {repository} failed \(.*{message}"):
        export_to(model, tmp_path / "faces", repository)
    assert load(tmp_path / "faces").resolution == 8
    assert not hub.repositories


def test_an_unreachable_hub_is_reported(
    model: str,
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="the upload to owner/faces failed"):
        export_to(model, tmp_path / "faces", "owner/faces")


@pytest.mark.parametrize("name", ["faces", "a/b/c", "owner/", "/faces", "owner/fa ces", "../faces", "männer/faces"])
def test_an_invalid_repository_name_is_refused_before_the_export(
    model: str,
    hub: Hub,
    tmp_path: Path,
    name: str,
) -> None:
    with pytest.raises(UserError, match="is not the name of a repository: give OWNER/NAME"):
        export_to(model, tmp_path / "faces", name)
    assert not (tmp_path / "faces").exists()


def test_a_missing_token_is_reported_before_the_export(
    model: str,
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    os.environ.pop("HUGGING_FACE_HUB_TOKEN", None)
    with pytest.raises(UserError, match="log in with hf auth login, or set"):
        export_to(model, tmp_path / "faces", "owner/faces")
    with pytest.raises(UserError, match="--private needs --hub"):
        export_to(model, tmp_path / "faces", None, private=True)
    assert not (tmp_path / "faces").exists()


def test_a_missing_client_is_reported_with_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[hub\]'"):
        require_hub("owner/faces")
