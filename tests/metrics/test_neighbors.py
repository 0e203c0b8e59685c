import math

import pytest
import torch
from fixtures.readings import normal, reading
from torch import Tensor
from torch_fidelity.metric_prc import prc_features_to_metric

from t2f.metrics import neighbors
from t2f.metrics.base import FeatureMetric
from t2f.metrics.neighbors import Diversity, Memorization, PrecisionRecall, nearest
from t2f.utils.errors import UserError


def given(metric: FeatureMetric, drawn: Tensor, real: Tensor) -> FeatureMetric:
    metric.update(reading(drawn), real=False)
    metric.update(reading(real), real=True)
    return metric


def precision_recall(drawn: Tensor, real: Tensor, k: int = 3) -> tuple[float, float]:
    found = given(PrecisionRecall(k), drawn, real).compute()
    return float(found["precision"]), float(found["recall"])


def variety(drawn: Tensor, real: Tensor) -> float:
    return float(given(Diversity(), drawn, real).compute())


def memorisation(drawn: Tensor, real: Tensor) -> float:
    return float(given(Memorization(), drawn, real).compute())


def line(*places: float) -> Tensor:
    return torch.tensor(places)[:, None]


@pytest.mark.parametrize("in_parts", [True, False])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall_are_those_of_torch_fidelity(k: int, in_parts: bool) -> None:
    both = normal(0, 380, 4)
    drawn, real = 0.7 + both[:150], both[150:]
    theirs = prc_features_to_metric(
        drawn.double(), real.double(), prc_neighborhood=k, prc_batch_size=40, save_cpu_ram=in_parts, verbose=False
    )
    ours = precision_recall(drawn, real, k)
    assert ours == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-7)
    assert ours[0] != ours[1]
    assert all(0.05 < share < 0.95 for share in ours)


def test_precision_and_recall_by_hand() -> None:
    """Real faces at 0, 1, 2 reach 1 far; drawn ones at 3, 3.5, 10 reach 0.5, 0.5 and 6.5."""
    assert precision_recall(line(3, 3.5, 10), line(0, 1, 2), k=1) == pytest.approx((1 / 3, 0))
    assert precision_recall(line(3, 3.5, 9), line(0, 1, 2), k=1) == pytest.approx((1 / 3, 0))
    assert precision_recall(line(0.5, 1.5, 10), line(0, 1, 2), k=1) == pytest.approx((2 / 3, 1))


def test_faces_have_all_of_themselves_and_nothing_of_what_is_far() -> None:
    faces = normal(0, 60, 6)
    assert precision_recall(faces, faces) == (1, 1)
    assert precision_recall(faces, faces.flip(0)) == (1, 1)
    assert precision_recall(faces + 100, faces) == (0, 0)


def test_one_face_again_and_again_is_precise_and_covers_nothing() -> None:
    real = normal(0, 80, 6)
    assert precision_recall(real.mean(0).expand(40, -1), real) == (1, 0)


def test_half_of_the_modes_is_half_of_the_recall() -> None:
    modes = torch.cat([normal(0, 50, 4), normal(1, 50, 4) + 100])
    precision, recall = precision_recall(modes[:50], modes)
    assert (precision, recall) == (1, pytest.approx(0.5, abs=0.02))


def test_variety_by_hand() -> None:
    assert variety(line(0, 2), line(0, 4)) == pytest.approx(1 / 4)
    # The mean squared distance of pairs: 1, 4, 9 and 1, 1, 4.
    assert variety(line(0, 1, 3), line(0, 1, 2)) == pytest.approx((1 + 4 + 9) / (1 + 1 + 4))


def test_variety_of_twice_the_spread_is_four_and_of_one_face_nothing() -> None:
    real = normal(0, 60, 6)
    assert variety(2 * real + 5, real) == pytest.approx(4, rel=1e-5)
    assert variety(real, real) == 1
    assert variety(real[:1].expand(30, -1), real) == pytest.approx(0, abs=1e-12)


def test_variety_beside_real_faces_that_are_all_the_same_is_told() -> None:
    with pytest.raises(UserError, match=r"^All real faces have the same features, so Variety has nothing"):
        variety(normal(0, 30, 4), torch.ones(30, 4))


def test_memorisation_by_hand() -> None:
    """Real faces at 0, 1, 5: their nearest others are at 1, 1 and 4."""
    real = line(0, 1, 5)
    assert memorisation(line(0.5, 2.5, 3.5, 20), real) == pytest.approx(2 / 4)


def test_copies_are_memorised_even_of_faces_that_are_in_the_set_twice() -> None:
    real = normal(0, 100, 8)
    assert memorisation(real[:40], real) == 1
    assert memorisation(real[:40] + 1e-3, real) == 1
    twice = torch.cat([real, real])
    assert memorisation(real[:40], twice) == 1
    assert memorisation(real[:1].expand(30, -1), real) == 1


@pytest.mark.parametrize(("size", "share"), [(1, 2 / 3), (2, 6 * math.pi / (8 * math.pi + 3 * 3**0.5)), (3, 16 / 27)])
def test_new_faces_of_the_same_kind_are_memorised_as_often_as_nearest_neighbours_are_mutual(
    size: int, share: float
) -> None:
    """The share of points of a Poisson process that are their nearest's nearest has a closed form."""
    both = torch.rand(4000, size, generator=torch.Generator().manual_seed(0))
    assert memorisation(both[:2000], both[2000:]) == pytest.approx(share, abs=0.04)


def test_new_faces_are_memorised_as_often_as_real_ones_are_their_nearests_nearest() -> None:
    both = normal(0, 3000, 16)
    numbers = nearest(both[:1500], both[:1500], 2)[1][:, 1]
    mutual = (numbers[numbers] == torch.arange(1500)).double().mean()
    assert memorisation(both[1500:], both[:1500]) == pytest.approx(float(mutual), abs=0.05)


def test_new_faces_of_another_kind_are_not_memorised() -> None:
    real = normal(0, 200, 8)
    assert memorisation(normal(0, 100, 8, mean=50), real) == 0
    assert memorisation(3 * normal(0, 400, 8)[200:], real) < 0.1


def test_nearest_are_those_of_every_distance_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = normal(0, 50, 6).double(), normal(1, 70, 6).double()
    expected = (a[:, None] - b).norm(dim=2).sort(dim=1)
    distances, numbers = nearest(a, b, 4)
    torch.testing.assert_close(distances, expected.values[:, :4])
    assert torch.equal(numbers, expected.indices[:, :4])
    monkeypatch.setattr(neighbors, "ROWS", 7)
    again = nearest(a, b, 4)
    torch.testing.assert_close(again[0], distances)
    assert torch.equal(again[1], numbers)


def test_what_is_the_same_is_at_no_distance() -> None:
    far = (1000 + normal(0, 60, 300)).double()
    assert nearest(far, far, 1)[0].eq(0).all()


def test_too_few_faces_for_the_neighbours_are_told() -> None:
    with pytest.raises(UserError, match=r"^4 drawn faces or more are needed, but there are 3\.$"):
        precision_recall(normal(0, 3, 2), normal(0, 9, 2))
    with pytest.raises(UserError, match=r"^PrecisionRecall's neighbours is 0: it must be at least 1\.$"):
        PrecisionRecall(0)
