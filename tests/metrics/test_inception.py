import pickle
import socket
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torch_fidelity
from torch import Tensor, nn
from torch.utils.data import Dataset
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from t2f.metrics.distances import FrechetDistance, KernelDistance
from t2f.metrics.features import Features, extract_features
from t2f.metrics.inception import Inception
from t2f.metrics.inception_score import ClassScore
from t2f.metrics.neighbors import PrecisionRecall
from t2f.utils.errors import UserError
from t2f.utils.extras import MissingPackage

COUNT = 6


class RandomInception(FeatureExtractorInceptionV3):
    """torch-fidelity's network without loading weights."""

    def load_state_dict(self, *_: Any, **__: Any) -> None:
        """Keep the initial weights."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights that still distinguish images."""
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save({}, path)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = RandomInception("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.bias, -0.2, 0.2)
                nn.init.uniform_(module.running_var, 0.8, 1.2)
        nn.init.normal_(network.fc.weight, std=0.1)
        for module in network.Mixed_7c.modules():
            if isinstance(module, nn.BatchNorm2d):
                # Three of four features are 0, so that the matrix square root is fast.
                module.bias[torch.arange(len(module.bias)) % 4 > 0] = -100
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def extractor(weights: Path) -> Inception:
    return Inception(str(weights))


class Blocks(Dataset[Tensor]):
    """Images of random blocks of one size."""

    def __init__(self, seed: int, size: int) -> None:
        rng = np.random.default_rng(seed)
        blocks = rng.integers(0, 256, (COUNT, 3, 32 // size, 32 // size), dtype=np.uint8)
        self.images = torch.from_numpy(blocks.repeat(size, axis=2).repeat(size, axis=3))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


FAKE, REAL = Blocks(0, 4), Blocks(1, 8)


@pytest.fixture(scope="module")
def extracted(extractor: Inception) -> tuple[Features, Features]:
    return extract_features(extractor, FAKE.images), extract_features(extractor, REAL.images)


@pytest.fixture(scope="module")
def reference(weights: Path) -> dict[str, float]:
    """Metrics of torch-fidelity on the same weights and images."""
    return torch_fidelity.calculate_metrics(
        input1=FAKE,
        input2=REAL,
        fid=True,
        kid=True,
        isc=True,
        prc=True,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(weights),
        kid_subsets=1,
        kid_subset_size=COUNT,
        isc_splits=1,
        prc_neighborhood=3,
        batch_size=COUNT,
        save_cpu_ram=True,
        cuda=False,
        cache=False,
        verbose=False,
    )


@pytest.mark.slow
def test_random_weights_distinguish_images(extracted: tuple[Features, Features]) -> None:
    """Precondition of the tests below."""
    for features in extracted:
        assert features.features.shape == (COUNT, 2048) and features.logits.shape == (COUNT, 1008)
        live = features.features[:, features.features.mean(dim=0) > 0.1]
        assert live.shape[1] > 200
        assert (live.std(dim=0) / live.mean(dim=0)).mean() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "name", "scale"),
    [
        (FrechetDistance(), "frechet_inception_distance", 1),
        (KernelDistance(), "kernel_inception_distance_mean", 1000),
        (ClassScore(splits=1), "inception_score_mean", 1),
    ],
)
def test_metrics_equal_torch_fidelity(
    metric: Any, name: str, scale: float, extracted: tuple[Features, Features], reference: dict[str, float]
) -> None:
    metric.update(extracted[0], real=False)
    metric.update(extracted[1], real=True)
    assert float(metric.compute()) == pytest.approx(scale * reference[name], rel=1e-3)


def test_precision_and_recall_equal_torch_fidelity(
    extracted: tuple[Features, Features], reference: dict[str, float]
) -> None:
    metric = PrecisionRecall(3)
    metric.update(extracted[0], real=False)
    metric.update(extracted[1], real=True)
    values = {name: float(value) for name, value in metric.compute().items()}
    assert values == pytest.approx({name: reference[name] for name in ("precision", "recall")}, abs=1e-6)


def test_features_equal_torch_fidelity(extractor: Inception, weights: Path) -> None:
    network = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
    )
    with torch.inference_mode():
        expected = network(REAL.images[:2])
    for ours, theirs in zip(extractor(REAL.images[:2]), expected, strict=True):
        assert torch.equal(ours, theirs)


def test_titles_are_the_conventional_names(extractor: Inception) -> None:
    assert extractor.title("frechet_distance") == "FID"
    assert extractor.title("kernel_distance") == "KID x 1000"
    assert extractor.title("class_score") == "Inception Score"
    assert extractor.title("precision") == "precision"


def test_is_frozen(extractor: Inception) -> None:
    extractor.train()
    assert not any(module.training for module in extractor.network.modules())
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


REMEDY = (
    r"download https://github\.com/toshas/torch-fidelity/releases/.*\.pth and set features\.weights_path to the file, "
    r"or use features=efficientnet_lite0, which needs no download\.$"
)


def test_missing_file_raises_an_error(tmp_path: Path) -> None:
    path = tmp_path / "none.pth"
    with pytest.raises(UserError, match=rf"^features\.weights_path={path} is not a file: {REMEDY}"):
        Inception(str(path))


class Malicious:
    """Object that creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("kind", ["damaged", "empty", "code", "plain pickle", "another network", "no weights"])
def test_file_without_weights_raises_an_error_and_executes_no_code(tmp_path: Path, kind: str, weights: Path) -> None:
    path, mark = tmp_path / "file.pth", tmp_path / "mark"
    if kind == "damaged":
        path.write_bytes(weights.read_bytes()[:100_000])
    elif kind == "empty":
        path.touch()
    elif kind == "code":
        torch.save({"fc.weight": Malicious(mark)}, path)
    elif kind == "plain pickle":
        path.write_bytes(pickle.dumps(Malicious(mark)))
    else:
        torch.save({"fc.weight": torch.zeros(3)} if kind == "another network" else [1, 2], path)
    with pytest.raises(UserError, match=rf"^{path} is damaged or does not contain Inception's weights: {REMEDY}"):
        Inception(str(path))
    assert not mark.exists()


def test_failed_download_names_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    message = rf"^The weights of Inception could not be downloaded \(.*name resolution.*\): {REMEDY}"
    with pytest.raises(UserError, match=message) as caught:
        Inception()
    assert isinstance(caught.value.__cause__, URLError)


def test_missing_package_raises_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(MissingPackage, match=r"^Inception needs a package \(.*\): pip install -e .*\.$"):
        Inception()
