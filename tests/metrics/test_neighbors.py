import math

import pytest
import torch
from fixtures.features import make_features, normal_features
from torch import Tensor
from torch_fidelity.metric_prc import prc_features_to_metric

from t2f.metrics import neighbors
from t2f.metrics.base import FeatureMetric, NotMeasurable
from t2f.metrics.neighbors import Diversity, Memorization, PrecisionRecall, nearest_neighbors


def updated(metric: FeatureMetric, fake: Tensor, real: Tensor) -> FeatureMetric:
    metric.update(make_features(fake), real=False)
    metric.update(make_features(real), real=True)
    return metric


def precision_recall(fake: Tensor, real: Tensor, k: int = 3) -> tuple[float, float]:
    values = updated(PrecisionRecall(k), fake, real).compute()
    return float(values["precision"]), float(values["recall"])


def diversity(fake: Tensor, real: Tensor) -> float:
    return float(updated(Diversity(), fake, real).compute())


def memorization(fake: Tensor, real: Tensor) -> float:
    return float(updated(Memorization(), fake, real).compute())


def line(*points: float) -> Tensor:
    return torch.tensor(points)[:, None]


@pytest.mark.parametrize("in_parts", [True, False])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall_equal_torch_fidelity(k: int, in_parts: bool) -> None:
    both = normal_features(0, 380, 4)
    fake, real = 0.7 + both[:150], both[150:]
    theirs = prc_features_to_metric(
        fake.double(), real.double(), prc_neighborhood=k, prc_batch_size=40, save_cpu_ram=in_parts, verbose=False
    )
    ours = precision_recall(fake, real, k)
    assert ours == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-7)
    assert ours[0] != ours[1]
    assert all(0.05 < share < 0.95 for share in ours)


def test_precision_and_recall_by_hand() -> None:
    """Radii: 1 for real images at 0, 1, 2; 0.5, 0.5 and 6.5 for generated images at 3, 3.5, 10."""
    assert precision_recall(line(3, 3.5, 10), line(0, 1, 2), k=1) == pytest.approx((1 / 3, 0))
    assert precision_recall(line(3, 3.5, 9), line(0, 1, 2), k=1) == pytest.approx((1 / 3, 0))
    assert precision_recall(line(0.5, 1.5, 10), line(0, 1, 2), k=1) == pytest.approx((2 / 3, 1))


def test_precision_and_recall_of_equal_and_of_distant_sets() -> None:
    real = normal_features(0, 60, 6)
    assert precision_recall(real, real) == (1, 1)
    assert precision_recall(real, real.flip(0)) == (1, 1)
    assert precision_recall(real + 100, real) == (0, 0)


def test_copies_of_one_image_have_precision_and_no_recall() -> None:
    real = normal_features(0, 80, 6)
    assert precision_recall(real.mean(0).expand(40, -1), real) == (1, 0)


def test_half_of_the_modes_has_half_the_recall() -> None:
    modes = torch.cat([normal_features(0, 50, 4), normal_features(1, 50, 4) + 100])
    precision, recall = precision_recall(modes[:50], modes)
    assert (precision, recall) == (1, pytest.approx(0.5, abs=0.02))


def test_diversity_by_hand() -> None:
    assert diversity(line(0, 2), line(0, 4)) == pytest.approx(1 / 4)
    # Squared distances of the pairs: 1, 4, 9 and 1, 1, 4.
    assert diversity(line(0, 1, 3), line(0, 1, 2)) == pytest.approx((1 + 4 + 9) / (1 + 1 + 4))


def test_diversity_scales_with_the_variance() -> None:
    real = normal_features(0, 60, 6)
    assert diversity(2 * real + 5, real) == pytest.approx(4, rel=1e-5)
    assert diversity(real, real) == 1
    assert diversity(real[:1].expand(30, -1), real) == pytest.approx(0, abs=1e-12)


def test_diversity_relative_to_equal_real_images_raises_an_error() -> None:
    with pytest.raises(
        NotMeasurable, match=r"^All real images have the same features, so relative diversity is undefined"
    ):
        diversity(normal_features(0, 30, 4), torch.ones(30, 4))


def test_memorization_by_hand() -> None:
    """Distances of real images at 0, 1, 5 to their nearest neighbors: 1, 1 and 4."""
    real = line(0, 1, 5)
    assert memorization(line(0.5, 2.5, 3.5, 20), real) == pytest.approx(2 / 4)


def test_copies_are_memorized_even_of_duplicated_images() -> None:
    real = normal_features(0, 100, 8)
    assert memorization(real[:40], real) == 1
    assert memorization(real[:40] + 1e-3, real) == 1
    twice = torch.cat([real, real])
    assert memorization(real[:40], twice) == 1
    assert memorization(real[:1].expand(30, -1), real) == 1


@pytest.mark.parametrize(
    ("size", "fraction"), [(1, 2 / 3), (2, 6 * math.pi / (8 * math.pi + 3 * 3**0.5)), (3, 16 / 27)]
)
def test_memorization_of_new_samples_equals_the_closed_form(size: int, fraction: float) -> None:
    """The fraction of mutual nearest neighbors in a Poisson process has a closed form."""
    both = torch.rand(4000, size, generator=torch.Generator().manual_seed(0))
    assert memorization(both[:2000], both[2000:]) == pytest.approx(fraction, abs=0.04)


def test_memorization_of_new_samples_equals_the_fraction_of_mutual_neighbors() -> None:
    both = normal_features(0, 3000, 16)
    indices = nearest_neighbors(both[:1500], both[:1500], 2)[1][:, 1]
    mutual = (indices[indices] == torch.arange(1500)).double().mean()
    assert memorization(both[1500:], both[:1500]) == pytest.approx(float(mutual), abs=0.05)


def test_samples_of_another_distribution_are_not_memorized() -> None:
    real = normal_features(0, 200, 8)
    assert memorization(normal_features(0, 100, 8, mean=50), real) == 0
    assert memorization(3 * normal_features(0, 400, 8)[200:], real) < 0.1


def test_nearest_neighbors_equal_the_sorted_distance_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = normal_features(0, 50, 6).double(), normal_features(1, 70, 6).double()
    expected = (a[:, None] - b).norm(dim=2).sort(dim=1)
    distances, indices = nearest_neighbors(a, b, 4)
    torch.testing.assert_close(distances, expected.values[:, :4])
    assert torch.equal(indices, expected.indices[:, :4])
    monkeypatch.setattr(neighbors, "CHUNK_SIZE", 7)
    chunked = nearest_neighbors(a, b, 4)
    torch.testing.assert_close(chunked[0], distances)
    assert torch.equal(chunked[1], indices)


def test_equal_points_have_distance_zero() -> None:
    distant = (1000 + normal_features(0, 60, 300)).double()
    assert nearest_neighbors(distant, distant, 1)[0].eq(0).all()


def test_fewer_images_than_neighbors_raise_an_error() -> None:
    with pytest.raises(NotMeasurable, match=r"^At least 4 generated images are needed, but there are 3\.$"):
        precision_recall(normal_features(0, 3, 2), normal_features(0, 9, 2))
    with pytest.raises(ValueError, match=r"^neighbors must be at least 1, but is 0\.$"):
        PrecisionRecall(0)
