import numpy as np
import pytest
import scipy.linalg
import torch
from fixtures.features import make_features, normal_features
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from t2f.metrics.base import FeatureMetric
from t2f.metrics.distances import FrechetDistance, KernelDistance


def score(metric: FeatureMetric, fake: Tensor, real: Tensor) -> float:
    metric.update(make_features(fake), real=False)
    metric.update(make_features(real), real=True)
    return float(metric.compute())


def frechet(fake: Tensor, real: Tensor) -> float:
    return score(FrechetDistance(), fake, real)


def kernel(fake: Tensor, real: Tensor, **settings: int) -> float:
    return score(KernelDistance(**settings), fake, real)


def by_scipy(fake: Tensor, real: Tensor) -> float:
    a, b = fake.double().numpy(), real.double().numpy()
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(scipy.linalg.sqrtm(ca @ cb))
    return float(np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(ca + cb - 2 * root))


def by_torch_fidelity(fake: Tensor, real: Tensor) -> float:
    statistics = [fid_features_to_statistics(features.double()) for features in (fake, real)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


@pytest.mark.parametrize(("size", "fake", "real"), [(16, 400, 700), (64, 90, 300)])
def test_frechet_distance_equals_scipy_and_torch_fidelity(size: int, fake: int, real: int) -> None:
    sets = normal_features(0, fake, size, mean=0.3, scale=1.5), normal_features(1, real, size)
    assert frechet(*sets) == pytest.approx(by_scipy(*sets), rel=1e-6)
    assert frechet(*sets) == pytest.approx(by_torch_fidelity(*sets), rel=1e-6)


def test_frechet_distance_of_fewer_images_than_features_equals_torch_fidelity() -> None:
    sets = normal_features(0, 20, 128, mean=0.3), normal_features(1, 30, 128)
    assert frechet(*sets) == pytest.approx(by_torch_fidelity(*sets), rel=1e-4)
    # The covariances have low rank: C_r C_f has the nonzero eigenvalues of an N x N matrix.
    a, b = ((features - features.mean(0)).double() / (len(features) - 1) ** 0.5 for features in sets)
    apart = (sets[0].double().mean(0) - sets[1].double().mean(0)).square().sum()
    exact = apart + a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum()
    assert frechet(*sets) == pytest.approx(float(exact), rel=1e-4)


def test_frechet_distance_of_axis_aligned_normal_distributions() -> None:
    """N(m, diag(s^2)) and N(0, diag(t^2)): |m|^2 + sum (s - t)^2."""
    white = (
        torch.linalg.qr(normal_features(0, 500, 5).double() - normal_features(0, 500, 5).double().mean(0)).Q * 499**0.5
    )
    mean = torch.tensor([1.0, 0, -2, 0, 3], dtype=torch.float64)
    s, t = torch.tensor([1.0, 2, 3, 4, 0], dtype=torch.float64), torch.tensor([3.0, 2, 0, 1, 1], dtype=torch.float64)
    expected = mean.square().sum() + (s - t).square().sum()
    assert frechet(mean + s * white, t * white) == pytest.approx(float(expected), rel=1e-6)


def test_frechet_distance_of_a_set_to_itself_is_zero() -> None:
    features = normal_features(0, 200, 32)
    assert 0 <= frechet(features, features) < 1e-9
    assert 0 <= frechet(features.flip(0), features) < 1e-9


def test_frechet_distance_to_copies_of_one_image() -> None:
    real = normal_features(0, 100, 8)
    fake = real[:1].expand(50, -1)
    spread = real.double().var(0).sum() + (real.double().mean(0) - real[0].double()).square().sum()
    assert frechet(fake, real) == pytest.approx(float(spread), rel=1e-6)
    assert frechet(fake, fake) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_increases_with_the_distance_of_the_means() -> None:
    real = normal_features(0, 300, 8)
    apart = [frechet(normal_features(0, 300, 8, mean=mean), real) for mean in (0, 0.1, 0.5, 2)]
    assert apart == sorted(apart)
    assert apart[3] == pytest.approx(8 * 4, rel=1e-4)


def test_kernel_distance_equals_torch_fidelity() -> None:
    fake, real = normal_features(0, 60, 16, mean=0.2), normal_features(1, 60, 16)
    theirs = kid_features_to_metric(fake.double(), real.double(), kid_subsets=1, kid_subset_size=60, verbose=False)
    expected = 1000 * theirs["kernel_inception_distance_mean"]
    assert kernel(fake, real, subsets=1, subset_size=60) == pytest.approx(expected, rel=1e-9)
    # A subset size above the number of images selects all of them.
    assert kernel(fake, real) == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_of_subsets_equals_torch_fidelity_within_its_error() -> None:
    fake, real = normal_features(0, 400, 16, mean=0.3), normal_features(1, 300, 16)
    settings = {"kid_subsets": 200, "kid_subset_size": 50}
    theirs = kid_features_to_metric(fake.double(), real.double(), **settings, verbose=False)
    standard_error = 1000 * theirs["kernel_inception_distance_std"] / 200**0.5
    expected = 1000 * theirs["kernel_inception_distance_mean"]
    assert abs(kernel(fake, real, subsets=200, subset_size=50) - expected) < 5 * standard_error
    assert 5 * standard_error < 0.2 * expected


def test_kernel_distance_of_two_images_each() -> None:
    """One feature, fake at 0 and real at 1: k(x, y) = (x y + 1)^3, so 1 + 8 - 2."""
    assert kernel(torch.zeros(2, 1), torch.ones(2, 1)) == pytest.approx(7000)


def test_kernel_distance_of_equal_distributions_is_near_zero_and_may_be_negative() -> None:
    near = [
        kernel(normal_features(0, 400, 8)[:200], normal_features(0, 400, 8)[200:], seed=seed, subset_size=50)
        for seed in range(3)
    ]
    apart = kernel(normal_features(0, 200, 8, mean=1), normal_features(0, 200, 8))
    assert max(map(abs, near)) < 0.03 * apart
    small = [kernel(normal_features(seed, 40, 8)[:20], normal_features(seed, 40, 8)[20:]) for seed in range(20)]
    assert min(small) < 0 < max(small)


def test_kernel_distance_is_deterministic_and_keeps_the_global_random_state() -> None:
    sets = normal_features(0, 100, 8), normal_features(1, 100, 8)
    state = torch.get_rng_state()
    first, second = (kernel(*sets, subsets=3, subset_size=10) for _ in range(2))
    assert first == second
    assert kernel(*sets, subsets=3, subset_size=10, seed=1) != first
    assert torch.equal(torch.get_rng_state(), state)


def test_kernel_distance_of_copies_of_one_image_is_finite() -> None:
    real = normal_features(0, 50, 4)
    fake = real[:1].expand(20, -1)
    assert kernel(fake, fake) == pytest.approx(0, abs=1e-9)
    assert 0 < kernel(fake, real) < float("inf")


@pytest.mark.parametrize(("settings", "message"), [({"subsets": 0}, "at least 1"), ({"subset_size": 1}, "at least 2")])
def test_arguments_out_of_range_raise_an_error(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{next(iter(settings))} must be {message}, but is .\.$"):
        KernelDistance(**settings)
