"""The reports of experiments/study.py."""

import importlib
from types import ModuleType

import pytest
from conftest import ROOT


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    return importlib.import_module("study")


def result(name: str, command: str, **figures: float) -> dict[str, object]:
    return {"name": name, "command": command, "table": [{"name": key, "generated": figures[key]} for key in figures]}


def test_runs_that_differ_only_in_their_seed_are_averaged(study: ModuleType) -> None:
    results = [
        result("a_0", "python train.py seed=0 loss=hinge", distance=1.0, recall=0.5),
        result("b", "python train.py loss=logistic", distance=7.0),
        result("a_1", "python train.py seed=1 loss=hinge", distance=2.0, recall=0.5),
        result("a_2", "python train.py loss=hinge", distance=3.0),  # the default seed
    ]
    (row,) = study.mean_rows(results, ["distance", "recall"])
    assert row[0] == "mean of a_0, a_1, a_2 (± standard deviation)"
    assert row[3:5] == ["2.000 ± 1.000", ""]  # not all runs have the recall
