"""The notebook of experiments, executed cell by cell."""

import json

from conftest import ROOT


def test_every_cell_runs() -> None:
    notebook = json.loads((ROOT / "experiments/words_to_faces.ipynb").read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert len(names["images"]) == 6  # type: ignore[arg-type]
