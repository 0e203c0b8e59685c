from typing import Any

import pytest
from torch import nn

from t2f.data.datasets.image_folder import ImageFolder
from t2f.inference.trust import build_ours, find_targets, require_ours
from t2f.text.lstm import LSTMEncoder
from t2f.utils.errors import UserError

OURS = {"_target_": "t2f.text.lstm.LSTMEncoder", "vocabulary": 5, "layers": [1, 2]}


def test_classes_of_t2f_are_allowed_at_any_depth() -> None:
    require_ours({"a": [OURS, {"b": OURS}], "c": None, "d": 3, "e": (OURS,)}, ("t2f",), nn.Module)
    require_ours({"_target_": "t2f.data.datasets.celeba.CelebA", "folder": "/data/$HOME"}, ("t2f.data",), object)
    require_ours({}, ("t2f",), nn.Module)


def test_the_encoder_of_what_is_embedded_already_is_trusted_as_a_module_only() -> None:
    identity = {"_target_": "torch.nn.Identity"}
    assert isinstance(build_ours(identity, ("t2f.text", "torch.nn.Identity"), nn.Module), nn.Identity)
    with pytest.raises(UserError, match="which is not part of t2f"):
        require_ours(identity, ("t2f.data",), ImageFolder)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("os.system", "which is not part of t2f"),
        ("torch.nn.Linear", "which is not part of t2f"),
        ("t2f_evil.Thing", "which is not part of t2f"),
        ("t2f", "which this version of t2f does not have"),
        ("", "which is not part of t2f"),
        (["t2f.text.lstm.LSTMEncoder"], "which is not part of t2f"),
        ("t2f.text.lstm.Missing", "which this version of t2f does not have"),
        ("t2f.nowhere.Thing", "which this version of t2f does not have"),
        ("t2f.utils.errors.require", "which this version of t2f does not have"),
        ("t2f.utils.images.torch.hub.load", "which this version of t2f does not have"),
        ("t2f.utils.images..to_pil", "which this version of t2f does not have"),
        ("t2f.text.lstm.nn.Linear", "which is not allowed at this point"),
        ("t2f.data.datasets.celeba.CelebA", "which is not allowed at this point"),
        ("t2f.utils.errors.UserError", "which is not allowed at this point"),
    ],
)
@pytest.mark.parametrize("nest", [lambda config: config, lambda config: {"a": [OURS, {"b": (config,)}]}])
def test_other_targets_are_refused(target: Any, reason: str, nest: Any) -> None:
    with pytest.raises(UserError, match=rf"^The checkpoint's config (calls|needs) .*{reason}"):
        require_ours(nest({"_target_": target}), ("t2f",), nn.Module)


def test_a_class_of_another_package_of_t2f_is_refused() -> None:
    with pytest.raises(UserError, match="which is not part of t2f"):
        require_ours(OURS, ("t2f.data",), object)


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "${vocabulary}", "\\${a}", "???", "{x}", "1e3", "null"])
def test_interpolations_in_strings_are_not_resolved(text: str) -> None:
    data = {
        "_target_": "t2f.data.datasets.image_folder.ImageFolder",
        "folder": text,
        "cache": f"/cache/{text}",
        "resolution": 8,
    }
    nested = {"part": [data, text], text: (text,)}
    built = build_ours(nested, ("t2f.data",), ImageFolder)
    assert (str(built["part"][0].source), str(built["part"][0].cache)) == (text, f"/cache/{text}")
    assert built["part"][1:] == [text] == built[text]


def test_an_interpolation_in_a_target_is_not_resolved() -> None:
    with pytest.raises(UserError, match=r"calls .* which is not part of t2f"):
        build_ours({"_target_": "${oc.env:HOME}"}, ("t2f",), nn.Module)


def test_nested_configs_are_instantiated() -> None:
    config = {**OURS, "word_dim": 8, "hidden_dim": 16, "layers": 2}
    encoder = build_ours({"parts": [config]}, ("t2f.text",), nn.Module)["parts"][0]
    assert isinstance(encoder, LSTMEncoder)
    with pytest.raises(TypeError, match="color"):
        build_ours({**config, "color": 1}, ("t2f.text",), nn.Module)


def test_find_targets_returns_every_target() -> None:
    config = {"_target_": "a", "b": [{"_target_": "c", "d": 1}, (2, "e")], "f": {}}
    assert find_targets(config) == ["a", "c"]
