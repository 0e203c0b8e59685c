"""Texts that OmegaConf, YAML, a shell or a terminal could misread, in captions, attributes and paths."""

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
from fixtures.image_datasets import write_image
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from t2f import load
from t2f.cli.app import run as t2f_command
from t2f.cli.train import train
from t2f.training.resolvers import run_folder
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.errors import UserError
from t2f.utils.instantiate import build, escape_interpolations, from_yaml, raw_overrides, to_yaml

Tiny = Callable[..., DictConfig]
SPECIAL_TEXTS = [
    *("${oc.env:T2F_SECRET}", "${foo}", r"\${foo}", "$HOME", "{x}", "%(x)s", "???", "null", "yes", "1e3", "a: b"),
    *("- c", '"q"', "it's", "[/red]", "a | b", "a\\", "#x", "~", "${", "}", "2024-01-01", " blank in it"),
]
TINY_WITHOUT_DATA = [override for override in TINY if not override.startswith("data.")]
METRICS = ["features._target_=fixtures.toy.TinyFeatures", "~features.resolution", "evaluation.count=24"]


def write_faces(folder: Path) -> list[str]:
    """Write an image for each special text, with the text as caption and attribute. Return the overrides."""
    rng = np.random.default_rng(0)
    rows = []
    for number, text in enumerate(SPECIAL_TEXTS):
        write_image(folder / f"{number}.png", (16, 16), rng)
        attributes = {name: int(name == text or rng.random() < 0.5) for name in SPECIAL_TEXTS}
        rows.append(json.dumps({"file_name": f"{number}.png", "text": f"a man with {text}", **attributes}))
    (folder / "metadata.jsonl").write_text("\n".join(rows), encoding="utf-8")
    quoted = str(folder).replace("${", r"\${")
    return ["data=folder", f"data.folder='{quoted}'", "data.held_out=0.3", "data.workers=1"]


def texts_in(value: Any) -> list[str]:
    """All texts in a nested value."""
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in texts_in(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in texts_in(item)]
    return [value] if isinstance(value, str) else []


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the t2f command and check that it succeeds."""

    def call(*words: object) -> None:
        monkeypatch.setattr(sys, "argv", ["t2f", *map(str, words)])
        with pytest.raises(SystemExit) as exit_info:
            t2f_command()
        assert exit_info.value.code == 0

    return call


@pytest.mark.parametrize("conditioning", ["text", "attributes"])
def test_texts_in_the_data_are_never_interpolated_or_changed(
    tiny: Tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: Callable[..., None],
    conditioning: str,
) -> None:
    """Train, resume, generate, evaluate, compare, export and load."""
    monkeypatch.setenv("T2F_SECRET", "swordfish")
    data = write_faces(tmp_path / "faces ${oc.env:T2F_SECRET}")
    settings = [*data, f"conditioning={conditioning}", "evaluation=default", *METRICS]
    train(tiny(*settings, base=TINY_WITHOUT_DATA))
    run = tmp_path / "run"
    train(tiny(*settings, "resume=true", "growth.images=[48,96]", base=TINY_WITHOUT_DATA))
    metadata = read_checkpoint(run / "checkpoints/last.ckpt")[CHECKPOINT_KEY]
    assert metadata["images_seen"] == 144
    if conditioning == "attributes":
        assert metadata["conditioner"]["names"] == SPECIAL_TEXTS
    else:
        vocabulary = json.loads(metadata["conditioner"]["tokenizer"])["model"]["vocab"]
        assert {"$", "{", "foo"} < set(vocabulary)
    assert from_yaml(metadata["config"])["data"]["folder"] == str(tmp_path / "faces ${oc.env:T2F_SECRET}")

    captions = SPECIAL_TEXTS if conditioning == "attributes" else [f"a man with {text}" for text in SPECIAL_TEXTS]
    command("generate", "--count", 1, "--model", run, "--out", tmp_path / "faces.png", "--", *captions)
    command("evaluate", run, *METRICS, "evaluation=full")
    assert "r_precision" in json.loads((run / "report.json").read_text())["figures"]
    command("compare", run, "--captions", captions[0], "--out", tmp_path / "captions")
    command("compare", run, "--out", tmp_path / "compared")
    assert "their data are not at hand" not in capsys.readouterr().out
    command("export", "--model", run, "--out", tmp_path / "exported")
    [face], [exported] = (load(model)(captions[0], seed=1) for model in (run, tmp_path / "exported"))
    assert np.array_equal(np.asarray(face), np.asarray(exported))

    written = [read_checkpoint(path)[CHECKPOINT_KEY] for path in (run / "checkpoints").glob("*.ckpt")]
    files = [path for path in tmp_path.rglob("*") if path.suffix in (".json", ".yaml", ".md")]
    written += [path.read_text(encoding="utf-8") for path in files]
    assert not any("swordfish" in text for text in texts_in(written))


def test_attribute_names_may_contain_special_characters(tiny: Tiny, tmp_path: Path) -> None:
    """In an override, `${` is written `\\${`, and names that Hydra would read as other values are quoted."""
    names = ["${oc.env:T2F_SECRET}", "$HOME", "{x}", "null", "1e3", "yes", "a: b", '"q"', "it's", "[/red]"]
    quoted = ",".join('"' + name.replace('"', r"\"").replace("${", r"\${") + '"' for name in names)
    cfg = tiny(
        *write_faces(tmp_path / "faces"),
        "conditioning=attributes",
        f"conditioning.attributes=[{quoted}]",
        base=TINY_WITHOUT_DATA,
    )
    train(cfg)
    config = (tmp_path / "run/config.yaml").read_text(encoding="utf-8")
    assert from_yaml(config)["conditioning"]["attributes"] == names
    assert read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")[CHECKPOINT_KEY]["conditioner"]["names"] == names


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ("[null]", "^The data have no attribute None"),
        ("[1e3]", "^The data have no attribute 1000.0"),
        ("[Male,true]", "^The data have no attribute Male"),
    ],
)
def test_an_attribute_that_hydra_reads_as_another_value_is_refused(
    tiny: Tiny, tmp_path: Path, attributes: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        train(
            tiny(
                *write_faces(tmp_path),
                "conditioning=attributes",
                f"conditioning.attributes={attributes}",
                base=TINY_WITHOUT_DATA,
            )
        )


def test_resuming_reports_no_change_of_special_texts(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [
        *write_faces(tmp_path / "a ${b}"),
        "conditioning=attributes",
        r"conditioning.attributes=['\${foo}','1e3','null']",
    ]
    train(tiny(*settings, base=TINY_WITHOUT_DATA))
    train(tiny(*settings, "resume=true", "growth.images=[48,64]", base=TINY_WITHOUT_DATA))
    notes = re.findall("note: resuming with (.*)", capsys.readouterr().err)
    assert notes == ["growth.images=[48, 64], trained so far with [48, 48]"]


def test_from_yaml_inverts_to_yaml() -> None:
    config = {
        "names": SPECIAL_TEXTS,
        "rate": 1e-8,
        "none": None,
        "on": True,
        "nested": [{"a": [1, 2.5]}],
        "9": {250: "1_000"},
    }
    assert from_yaml(to_yaml(config)) == config
    plain = [text for text in SPECIAL_TEXTS if "${" not in text and text != "???"]
    resolved = OmegaConf.to_yaml({"names": plain}, resolve=True)
    assert from_yaml(resolved)["names"] == plain
    shared = {"a": 1}
    assert "&" not in to_yaml({"one": shared, "other": shared})


@pytest.mark.parametrize("text", ["a: &a [1]\nb: *a", "[1, 2]", "", "text"])
def test_yaml_that_is_not_a_plain_mapping_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="its config"):
        from_yaml(text)


@pytest.mark.parametrize("text", ["a: [", "a: 'b", "\x00"])
def test_invalid_yaml_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        from_yaml(text)


def test_build_passes_data_unchanged() -> None:
    config = OmegaConf.create({"_target_": "builtins.dict", "lists": [[1]], "nested": {"_target_": "builtins.list"}})
    data = {"${foo}": ["${oc.env:HOME}", "???"]}
    built = build(config, data=data)
    assert built["data"] is data
    assert (built["nested"], type(built["lists"])) == ([], list)
    with pytest.raises(InstantiationException, match=r"call to target 'builtins.len': TypeError"):
        build(OmegaConf.create({"_target_": "builtins.len"}), data=data)


@pytest.mark.parametrize("text", ["${x}", r"\${x}", r"a\\${x} \ ${", "${oc.env:HOME}/${", "$x", "{x}", "a\\"])
def test_build_resolves_escaped_texts_once(text: str) -> None:
    """In values, lists, nested configs and configs that are referred to."""
    escaped = escape_interpolations(text)
    part = {
        "_target_": "builtins.dict",
        "a": escaped,
        "b": [escaped, {"c": "${text}"}],
        "d": "${other}",
        "e": "${other.f}",
    }
    config = OmegaConf.create({"text": escaped, "part": part, "other": {"_target_": "builtins.dict", "f": [escaped]}})
    before = OmegaConf.to_yaml(config)
    expected = {"a": text, "b": [text, {"c": text}], "d": {"f": [text]}, "e": [text]}
    assert build(config.part) == expected
    assert build(config.part, g=text) == {**expected, "g": text}
    assert OmegaConf.to_yaml(config) == before


def counter(count: int) -> int:
    if count < 1:
        raise ValueError(f"count must be at least 1, but is {count}")
    if count > 9:
        raise ValueError("The counter is full.")
    return count


@pytest.mark.parametrize("as_data", [False, True])
@pytest.mark.parametrize(
    ("count", "message"),
    [(0, r"^model\.counter\.count must be at least 1, but is 0$"), (10, r"^The counter is full \(model\.counter\)\.$")],
)
def test_a_value_error_becomes_a_user_error_with_the_config_key(count: int, message: str, as_data: bool) -> None:
    target = {"_target_": "utils.test_instantiate.counter"}
    data = {"count": count}
    config = OmegaConf.create({"model": {"counter": target if as_data else {**target, **data}}})
    with pytest.raises(UserError, match=message):
        build(config.model.counter, **(data if as_data else {}))


def test_the_key_in_a_user_error_is_the_one_that_an_interpolation_refers_to() -> None:
    target = {"_target_": "utils.test_instantiate.counter", "count": "${limits.low}"}
    config = OmegaConf.create({"limits": {"low": 0}, "counters": {"a": target}, "model": {"counter": "${counters.a}"}})
    with pytest.raises(UserError, match=r"^limits\.low must be at least 1, but is 0$"):
        build(config.model.counter)


def test_a_value_error_of_a_config_without_a_parent_keeps_its_message() -> None:
    for config, data in (({"count": 0}, {}), ({}, {"count": 0})):
        with pytest.raises(UserError, match=r"^count must be at least 1, but is 0$"):
            build(OmegaConf.create({"_target_": "utils.test_instantiate.counter", **config}), **data)


def test_raw_overrides_are_not_resolved() -> None:
    overrides = ["data.folder=${oc.env:T2F_SECRET}", r"name='\${a}'", "x=???"]
    assert raw_overrides(OmegaConf.create(overrides)) == overrides


def test_a_run_folder_with_an_interpolation_in_its_path_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "${folder}"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for runs, resume in (("runs", False), (str(folder), "auto"), ("runs", "runs/t2f/now")):
        with pytest.raises(UserError, match=r"Hydra reads \$\{ in a path as an interpolation: set paths\.runs="):
            run_folder(runs, "t2f", resume)
