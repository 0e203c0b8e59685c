import re
import tomllib
from pathlib import Path

import pytest

from t2f.utils.extras import ROOT, install_command


def test_in_the_clone_the_command_installs_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert install_command("video") == "pip install -e '.[video]'"


def test_outside_of_the_clone_the_command_names_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = tmp_path / "a clone"
    clone.mkdir()
    (clone / "pyproject.toml").touch()
    monkeypatch.setattr("t2f.utils.extras.ROOT", clone)
    monkeypatch.chdir(tmp_path)
    assert install_command("demo") == f"pip install -e '{clone}[demo]'"


def test_an_installed_wheel_is_named_by_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("t2f.utils.extras.ROOT", tmp_path)
    assert install_command("video") == "pip install 't2f[video]'"


def test_every_extra_in_the_code_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    sources = [path.read_text() for path in (ROOT / "t2f").rglob("*.py")]
    pattern = r"install_command\('([a-z]+)'\)|needs_extra\(.*, \"([a-z]+)\"\)"
    used = {first or second for source in sources for first, second in re.findall(pattern, source)}
    assert {"demo", "export", "hub", "metrics", "text", "video"} <= used <= set(extras)
