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
from t2f.metrics.features import Features, MissingPackage, read_all
from t2f.metrics.inception import Inception
from t2f.metrics.inception_score import ClassScore
from t2f.metrics.neighbors import PrecisionRecall
from t2f.utils.errors import UserError

FACES = 6


class Unread(FeatureExtractorInceptionV3):
    """The network of torch-fidelity without its weights' file."""

    def load_state_dict(self, *_: Any, **__: Any) -> None:
        """Stay as it was made."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights of the right shapes, random ones through which images still differ."""
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save({}, path)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = Unread("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.bias, -0.2, 0.2)
                nn.init.uniform_(module.running_var, 0.8, 1.2)
        nn.init.normal_(network.fc.weight, std=0.1)
        for module in network.Mixed_7c.modules():
            if isinstance(module, nn.BatchNorm2d):
                # Three features of four are never more than 0, for the root of their covariances to be quick.
                module.bias[torch.arange(len(module.bias)) % 4 > 0] = -100
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def extractor(weights: Path) -> Inception:
    return Inception(str(weights))


class Pictures(Dataset[Tensor]):
    """Blots, of which each kind has its own size."""

    def __init__(self, seed: int, size: int) -> None:
        rng = np.random.default_rng(seed)
        blots = rng.integers(0, 256, (FACES, 3, 32 // size, 32 // size), dtype=np.uint8)
        self.images = torch.from_numpy(blots.repeat(size, axis=2).repeat(size, axis=3))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> Tensor:
        return self.images[number]


DRAWN, REAL = Pictures(0, 4), Pictures(1, 8)


@pytest.fixture(scope="module")
def readings(extractor: Inception) -> tuple[Features, Features]:
    return read_all(extractor, DRAWN.images), read_all(extractor, REAL.images)


@pytest.fixture(scope="module")
def theirs(weights: Path) -> dict[str, float]:
    """What torch-fidelity finds, by its own network from the same file, in the same images."""
    return torch_fidelity.calculate_metrics(
        input1=DRAWN,
        input2=REAL,
        fid=True,
        kid=True,
        isc=True,
        prc=True,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(weights),
        kid_subsets=1,
        kid_subset_size=FACES,
        isc_splits=1,
        prc_neighborhood=3,
        batch_size=FACES,
        save_cpu_ram=True,
        cuda=False,
        cache=False,
        verbose=False,
    )


@pytest.mark.slow
def test_images_differ_to_it(readings: tuple[Features, Features]) -> None:
    """Or the tests below would be of nothing."""
    for reading in readings:
        assert reading.features.shape == (FACES, 2048) and reading.logits.shape == (FACES, 1008)
        live = reading.features[:, reading.features.mean(dim=0) > 0.1]
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
def test_figures_are_those_of_torch_fidelity(
    metric: Any, name: str, scale: float, readings: tuple[Features, Features], theirs: dict[str, float]
) -> None:
    metric.update(readings[0], real=False)
    metric.update(readings[1], real=True)
    assert float(metric.compute()) == pytest.approx(scale * theirs[name], rel=1e-3)


def test_precision_and_recall_are_those_of_torch_fidelity(
    readings: tuple[Features, Features], theirs: dict[str, float]
) -> None:
    metric = PrecisionRecall(3)
    metric.update(readings[0], real=False)
    metric.update(readings[1], real=True)
    found = {name: float(value) for name, value in metric.compute().items()}
    assert found == pytest.approx({name: theirs[name] for name in ("precision", "recall")}, abs=1e-6)


def test_reads_what_torch_fidelity_reads(extractor: Inception, weights: Path) -> None:
    network = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
    )
    with torch.inference_mode():
        expected = network(REAL.images[:2])
    for ours, theirs in zip(extractor(REAL.images[:2]), expected, strict=True):
        assert torch.equal(ours, theirs)


def test_its_figures_bear_their_names_of_tradition(extractor: Inception) -> None:
    assert extractor.title("frechet_distance") == "FID"
    assert extractor.title("kernel_distance") == "KID x 1000"
    assert extractor.title("class_score") == "Inception Score"
    assert extractor.title("precision") == "precision"


def test_is_frozen(extractor: Inception) -> None:
    extractor.train()
    assert not any(module.training for module in extractor.network.modules())
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


SENTENCE = (
    r"get https://github\.com/toshas/torch-fidelity/releases/.*\.pth and give its place with "
    r"features\.weights_path=FILE; features=efficientnet_lite0 needs no download\.$"
)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none.pth"
    with pytest.raises(UserError, match=rf"^Inception's weights are not at features\.weights_path={path}: {SENTENCE}"):
        Inception(str(path))


class Burglar:
    """Unpickled, it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("kind", ["damaged", "empty", "code", "plain pickle", "another network", "no weights"])
def test_a_file_that_holds_no_such_weights_is_told_and_none_of_it_is_run(
    tmp_path: Path, kind: str, weights: Path
) -> None:
    path, mark = tmp_path / "file.pth", tmp_path / "mark"
    if kind == "damaged":
        path.write_bytes(weights.read_bytes()[:100_000])
    elif kind == "empty":
        path.touch()
    elif kind == "code":
        torch.save({"fc.weight": Burglar(mark)}, path)
    elif kind == "plain pickle":
        path.write_bytes(pickle.dumps(Burglar(mark)))
    else:
        torch.save({"fc.weight": torch.zeros(3)} if kind == "another network" else [1, 2], path)
    with pytest.raises(UserError, match=rf"^{path} is damaged, or holds no weights of this Inception: {SENTENCE}"):
        Inception(str(path))
    assert not mark.exists()


def test_without_a_network_the_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    message = rf"^Inception's weights could not be downloaded \(.*name resolution.*\): {SENTENCE}"
    with pytest.raises(UserError, match=message) as caught:
        Inception()
    assert isinstance(caught.value.__cause__, URLError)


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(MissingPackage, match=r"^Inception's features need a package \(.*\): pip install -e .*\.$"):
        Inception()
