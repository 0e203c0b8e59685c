import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from t2f.metrics.retrieval import RPrecision


def unit(*shape: int, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def score(faces: Tensor, own: Tensor, others: Tensor) -> float:
    metric = RPrecision()
    metric.update(faces, own, others)
    return float(metric.compute())


def test_own_words_that_are_the_nearest_are_always_found() -> None:
    faces = unit(50, 16)
    assert score(faces, faces, unit(50, 9, 16, seed=1)) == 1


def test_own_words_that_are_the_farthest_are_never_found() -> None:
    faces = unit(50, 16)
    assert score(faces, -faces, unit(50, 9, 16, seed=1)) == 0


@pytest.mark.parametrize("others", [1, 9, 99])
def test_words_that_say_nothing_of_the_face_are_found_by_chance(others: int) -> None:
    chance = 1 / (others + 1)
    found = score(unit(2000, 8), unit(2000, 8, seed=1), unit(2000, others, 8, seed=2))
    assert found == pytest.approx(chance, abs=4 * (chance * (1 - chance) / 2000) ** 0.5)


def test_is_the_share_of_faces_whose_own_words_come_first() -> None:
    faces, own, others = unit(200, 4), unit(200, 4, seed=1), unit(200, 3, 4, seed=2)
    own = F.normalize(faces + own, dim=1)
    near = torch.stack([(faces[i] @ torch.cat([own[i : i + 1], others[i]]).T).argmax() for i in range(200)])
    assert score(faces, own, others) == pytest.approx(float((near == 0).double().mean()))


@pytest.mark.parametrize("ties", [0, 1, 3, 9])
def test_ties_are_a_toss_among_those_that_tie(ties: int) -> None:
    faces = unit(20, 8)
    others = (-faces)[:, None].repeat(1, 9, 1)
    others[:, :ties] = faces[:, None]
    # Computed otherwise, the same words are a rounding apart.
    assert score(faces, faces * (1 + 1e-7), others) == pytest.approx(1 / (1 + ties))


def test_a_tie_behind_a_nearer_one_is_not_found() -> None:
    faces = torch.tensor([[1.0, 0.0]])
    words = torch.tensor([[0.6, 0.8]])
    assert score(faces, words, torch.stack([words, faces], dim=1)) == 0


def test_what_is_no_number_is_not_found() -> None:
    faces = unit(3, 4)
    assert score(faces * float("nan"), faces, unit(3, 2, 4)) == 0
    assert score(faces, faces * float("nan"), unit(3, 2, 4)) == 0


def test_follows_torchmetrics() -> None:
    faces, own, others = unit(30, 4), unit(30, 4, seed=1), unit(30, 2, 4, seed=2)
    whole = score(faces, own, others)
    one, other = RPrecision(), RPrecision()
    one.update(faces[:7], own[:7], others[:7])
    other.update(faces[7:], own[7:], others[7:])
    assert 0 < whole < 1
    other.merge_state(one)
    assert float(other.compute()) == whole
    one.update(faces[7:], own[7:], others[7:])
    assert float(one.compute()) == whole
    one.reset()
    one.update(faces, faces, others)
    assert float(one.compute()) == 1
