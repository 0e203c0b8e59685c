"""Captions, attributes and folders that OmegaConf, YAML, a shell or a terminal would read as something else."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import TINY
from fixtures.drawn import draw_picture
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from t2f import load
from t2f.cli.app import run as t2f_command
from t2f.training.resolvers import run_folder
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.errors import UserError
from t2f.utils.instantiate import as_typed, build, escaped, from_yaml, to_yaml
from train import train

Tiny = Callable[..., DictConfig]
ODD = [
    *("${oc.env:T2F_SECRET}", "${foo}", r"\${foo}", "$HOME", "{x}", "%(x)s", "???", "null", "yes", "1e3", "a: b"),
    *("- c", '"q"', "it's", "[/red]", "a | b", "a\\", "#x", "~", "${", "}", "2024-01-01", " blank in it"),
]
WITHOUT_DATA = [each for each in TINY if not each.startswith("data.")]
MEASURED = ["features._target_=fixtures.made_up.TinyFeatures", "~features.resolution", "evaluation.count=24"]


def write_odd(folder: Path) -> list[str]:
    """As many pictures as odd texts, each with one of them as its caption and its attribute, and the overrides."""
    rng = np.random.default_rng(0)
    rows = []
    for number, text in enumerate(ODD):
        draw_picture(folder / f"{number}.png", (16, 16), rng)
        attributes = {name: int(name == text or rng.random() < 0.5) for name in ODD}
        rows.append(json.dumps({"file_name": f"{number}.png", "text": f"a man with {text}", **attributes}))
    (folder / "metadata.jsonl").write_text("\n".join(rows), encoding="utf-8")
    escaped = str(folder).replace("${", r"\${")
    return ["data=folder", f"data.folder='{escaped}'", "data.held_out=0.3", "data.workers=1"]


def everything_in(value: Any) -> list[str]:
    """The texts of a nested value."""
    if isinstance(value, dict):
        return [text for pair in value.items() for each in pair for text in everything_in(each)]
    if isinstance(value, list | tuple):
        return [text for each in value for text in everything_in(each)]
    return [value] if isinstance(value, str) else []


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The t2f command, which must succeed."""

    def call(*words: object) -> None:
        monkeypatch.setattr(sys, "argv", ["t2f", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            t2f_command()
        assert ended.value.code == 0

    return call


@pytest.mark.parametrize("conditioning", ["text", "attributes"])
def test_no_text_of_the_data_is_looked_up_retyped_or_lost(
    tiny: Tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: Callable[..., None],
    conditioning: str,
) -> None:
    """Trained, gone on with, drawn from, measured, compared, exported and loaded."""
    monkeypatch.setenv("T2F_SECRET", "swordfish")
    data = write_odd(tmp_path / "faces ${oc.env:T2F_SECRET}")
    settings = [*data, f"conditioning={conditioning}", "evaluation=default", *MEASURED]
    train(tiny(*settings, base=WITHOUT_DATA))
    run = tmp_path / "run"
    train(tiny(*settings, "resume=true", "growth.images=[48,96]", base=WITHOUT_DATA))
    card = read_checkpoint(run / "checkpoints/last.ckpt")[CHECKPOINT_KEY]
    assert card["images_seen"] == 144
    if conditioning == "attributes":
        assert card["conditioner"]["names"] == ODD
    else:
        vocabulary = json.loads(card["conditioner"]["tokenizer"])["model"]["vocab"]
        assert {"$", "{", "foo"} < set(vocabulary)
    assert from_yaml(card["config"])["data"]["folder"] == str(tmp_path / "faces ${oc.env:T2F_SECRET}")

    asked = ODD if conditioning == "attributes" else [f"a man with {text}" for text in ODD]
    command("generate", "--count", 1, "--model", run, "--out", tmp_path / "faces.png", "--", *asked)
    command("evaluate", run, *MEASURED, "evaluation=full")
    assert "r_precision" in json.loads((run / "report.json").read_text())["figures"]
    command("compare", run, "--captions", asked[0], "--out", tmp_path / "captions")
    command("compare", run, "--out", tmp_path / "compared")
    assert "their data are not at hand" not in capsys.readouterr().out
    command("export", "--model", run, "--out", tmp_path / "exported")
    [face], [again] = (load(place)(asked[0], seed=1) for place in (run, tmp_path / "exported"))
    assert np.array_equal(np.asarray(face), np.asarray(again))

    written = [read_checkpoint(path)[CHECKPOINT_KEY] for path in (run / "checkpoints").glob("*.ckpt")]
    files = [path for path in tmp_path.rglob("*") if path.suffix in (".json", ".yaml", ".md")]
    written += [path.read_text(encoding="utf-8") for path in files]
    assert not any("swordfish" in text for text in everything_in(written))


def test_attributes_are_chosen_by_odd_names(tiny: Tiny, tmp_path: Path) -> None:
    """As one types them: `\\${` is `${`, and what Hydra would read as a value is quoted."""
    names = ["${oc.env:T2F_SECRET}", "$HOME", "{x}", "null", "1e3", "yes", "a: b", '"q"', "it's", "[/red]"]
    typed = ",".join('"' + name.replace('"', r"\"").replace("${", r"\${") + '"' for name in names)
    cfg = tiny(
        *write_odd(tmp_path / "faces"),
        "conditioning=attributes",
        f"conditioning.attributes=[{typed}]",
        base=WITHOUT_DATA,
    )
    train(cfg)
    config = (tmp_path / "run/config.yaml").read_text(encoding="utf-8")
    assert from_yaml(config)["attributes"] == names
    assert read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")[CHECKPOINT_KEY]["conditioner"]["names"] == names


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ("[null]", r'^attributes holds None, which is read as no text: put such names in quotes, as in .*"null"'),
        ("[1e3]", "^attributes holds 1000.0, which is read as no text"),
        ("[Male,true]", "^The data have no attribute Male"),
    ],
)
def test_a_name_that_hydra_reads_as_a_value_is_told(tiny: Tiny, tmp_path: Path, attributes: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        train(
            tiny(
                *write_odd(tmp_path),
                "conditioning=attributes",
                f"conditioning.attributes={attributes}",
                base=WITHOUT_DATA,
            )
        )


def test_resuming_announces_nothing_where_settings_are_odd_but_the_same(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [
        *write_odd(tmp_path / "a ${b}"),
        "conditioning=attributes",
        r"conditioning.attributes=['\${foo}','1e3','null']",
    ]
    train(tiny(*settings, base=WITHOUT_DATA))
    train(tiny(*settings, "resume=true", "growth.images=[48,64]", base=WITHOUT_DATA))
    notes = re.findall("note: resuming with (.*)", capsys.readouterr().err)
    assert notes == ["growth.images=[48, 64], trained so far with [48, 48]"]


def test_a_plain_config_is_read_as_it_was_written() -> None:
    config = {"names": ODD, "rate": 1e-8, "none": None, "on": True, "nested": [{"a": [1, 2.5]}], "9": {250: "1_000"}}
    assert from_yaml(to_yaml(config)) == config
    resolved = OmegaConf.to_yaml({"names": [text for text in ODD if "${" not in text and text != "???"]}, resolve=True)
    assert from_yaml(resolved)["names"] == [text for text in ODD if "${" not in text and text != "???"]
    shared = {"a": 1}
    assert "&" not in to_yaml({"one": shared, "other": shared})


@pytest.mark.parametrize("text", ["a: &a [1]\nb: *a", "[1, 2]", "", "text"])
def test_what_is_no_config_of_ours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="its config"):
        from_yaml(text)


@pytest.mark.parametrize("text", ["a: [", "a: 'b", "\x00"])
def test_what_is_no_yaml_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        from_yaml(text)


def test_an_object_gets_data_as_they_are() -> None:
    config = OmegaConf.create({"_target_": "builtins.dict", "lists": [[1]], "nested": {"_target_": "builtins.list"}})
    data = {"${foo}": ["${oc.env:HOME}", "???"]}
    built = build(config, data=data)
    assert built["data"] is data
    assert (built["nested"], type(built["lists"])) == ([], list)
    with pytest.raises(InstantiationException, match=r"call to target 'builtins.len': TypeError"):
        build(OmegaConf.create({"_target_": "builtins.len"}), data=data)


@pytest.mark.parametrize("text", ["${x}", r"\${x}", r"a\\${x} \ ${", "${oc.env:HOME}/${", "$x", "{x}", "a\\"])
def test_a_setting_is_the_text_that_it_says(text: str) -> None:
    """`escaped` is how it is written, wherever it stands, and whoever refers to it."""
    here = escaped(text)
    part = {"_target_": "builtins.dict", "a": here, "b": [here, {"c": "${text}"}], "d": "${other}", "e": "${other.f}"}
    config = OmegaConf.create({"text": here, "part": part, "other": {"_target_": "builtins.dict", "f": [here]}})
    before = OmegaConf.to_yaml(config)
    expected = {"a": text, "b": [text, {"c": text}], "d": {"f": [text]}, "e": [text]}
    assert build(config.part) == expected
    assert build(config.part, g=text) == {**expected, "g": text}
    assert OmegaConf.to_yaml(config) == before


def test_overrides_stay_as_they_were_typed() -> None:
    typed = ["data.folder=${oc.env:T2F_SECRET}", r"name='\${a}'", "x=???"]
    assert as_typed(OmegaConf.create(typed)) == typed


def test_a_folder_that_hydra_cannot_hold_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "${here}"
    here.mkdir()
    monkeypatch.chdir(here)
    for runs, resume in (("runs", False), (str(here), "auto"), ("runs", "runs/t2f/now")):
        with pytest.raises(UserError, match=r"Hydra takes \$\{ in a path for a reference: set paths\.runs="):
            run_folder(runs, "t2f", resume)
