"""The wheel that `pip install` builds."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

pytest.importorskip("hatchling", reason="the build backend is not installed")


@pytest.mark.slow
def test_an_installed_wheel_evaluates(model: str, tmp_path: Path) -> None:
    """`t2f evaluate` composes its config from the wheel, without a clone."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        file.extractall(tmp_path / "installed")
    configs = {f"t2f/conf/{path.relative_to(ROOT / 'conf')}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert configs | {"t2f/py.typed", "t2f/inference/pretrained/model.safetensors"} <= names
    command = [sys.executable, "-m", "t2f", "evaluate", model, "--count", "8", "evaluation=quick", "metrics=none"]
    ended = subprocess.run(
        [*command, "--out", str(tmp_path / "report")],
        cwd=tmp_path / "installed",  # -m finds modules there first
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "report/report.md").exists()
