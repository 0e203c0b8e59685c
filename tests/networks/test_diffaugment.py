"""Each change against a plain reference for one picture, written after the paper's own code."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from t2f.networks.diffaugment import DiffAugment

ALL = ["color", "translation", "cutout"]
Picture = np.ndarray


def images(count: int = 4, size: int = 16) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def numbers(count: int = 4, seed: int = 1) -> Tensor:
    return torch.rand(count, 7, generator=torch.Generator().manual_seed(seed))


def colored(image: Picture, told: list[float]) -> Picture:
    """Brightness by U(-0.5, 0.5), then saturation times U(0, 2), then contrast times U(0.5, 1.5)."""
    image = image + (told[0] - 0.5)
    result = np.empty_like(image)
    size = image.shape[1]
    for y in range(size):
        for x in range(size):
            grey = sum(image[channel, y, x] for channel in range(3)) / 3
            for channel in range(3):
                result[channel, y, x] = grey + (image[channel, y, x] - grey) * (2 * told[1])
    return result.mean() + (result - result.mean()) * (0.5 + told[2])


def shift(told: float, size: int) -> int:
    """A whole number of pixels, up to an eighth of the width to either side, all equally likely."""
    most = round(size / 8)
    return list(range(-most, most + 1))[int(told * (2 * most + 1))]


def moved(image: Picture, told: list[float]) -> Picture:
    """Shifted down and to the right, and black (0 is the middle of the range) where nothing was."""
    size = image.shape[1]
    down, right = shift(told[3], size), shift(told[4], size)
    result = np.zeros_like(image)
    for y in range(size):
        for x in range(size):
            if 0 <= y - down < size and 0 <= x - right < size:
                result[:, y, x] = image[:, y - down, x - right]
    return result


def cut(image: Picture, told: list[float]) -> Picture:
    """A square of half the width, its centre anywhere in the picture, set to 0."""
    size = image.shape[1]
    result = image.copy()
    centre_y, centre_x = int(told[5] * (size + 1)), int(told[6] * (size + 1))
    for y in range(size):
        for x in range(size):
            if -size // 4 <= y - centre_y < size // 4 and -size // 4 <= x - centre_x < size // 4:
                result[:, y, x] = 0
    return result


REFERENCES = {"color": colored, "translation": moved, "cutout": cut}


@pytest.mark.parametrize("size", [4, 8, 16])
@pytest.mark.parametrize("policy", [["color"], ["translation"], ["cutout"], ALL], ids="+".join)
def test_each_picture_is_changed_as_the_reference_changes_it(policy: list[str], size: int) -> None:
    given, told = images(12, size), numbers(12)
    changed = DiffAugment(policy).change(given, told)
    for image, row, result in zip(given, told, changed, strict=True):
        expected = image.double().numpy()
        for part in ALL:  # in the paper's order, whatever the policy's
            if part in policy:
                expected = REFERENCES[part](expected, row.tolist())
        torch.testing.assert_close(result.double(), torch.from_numpy(expected), rtol=0, atol=1e-5)


def test_the_order_in_a_policy_does_not_matter() -> None:
    assert torch.equal(
        DiffAugment(["cutout", "color", "translation"]).change(images(), numbers()),
        DiffAugment(ALL).change(images(), numbers()),
    )


@pytest.mark.parametrize(("number", "change"), [(0.0, -0.5), (0.5, 0.0), (0.9, 0.4)])
def test_brightness_changes_by_up_to_a_half(number: float, change: float) -> None:
    told = torch.tensor([[number, 0.5, 0.5, 0, 0, 0, 0]])
    torch.testing.assert_close(DiffAugment(["color"]).change(images(1), told), images(1) + change)


@pytest.mark.parametrize(("number", "factor"), [(0.0, 0.0), (0.5, 1.0), (0.75, 1.5)])
def test_saturation_is_multiplied_by_up_to_two(number: float, factor: float) -> None:
    told = torch.tensor([[0.5, number, 0.5, 0, 0, 0, 0]])
    changed = DiffAugment(["color"]).change(images(1), told)
    grey, new_grey = images(1).mean(1, keepdim=True), changed.mean(1, keepdim=True)
    torch.testing.assert_close(new_grey, grey)
    torch.testing.assert_close(changed - new_grey, (images(1) - grey) * factor)


@pytest.mark.parametrize(("number", "factor"), [(0.0, 0.5), (0.5, 1.0), (0.9, 1.4)])
def test_contrast_is_multiplied_by_a_half_to_one_and_a_half(number: float, factor: float) -> None:
    told = torch.tensor([[0.5, 0.5, number, 0, 0, 0, 0]])
    changed = DiffAugment(["color"]).change(images(1), told)
    torch.testing.assert_close(changed.mean(), images(1).mean())
    torch.testing.assert_close(changed - changed.mean(), (images(1) - images(1).mean()) * factor)


def test_pictures_move_by_every_number_of_pixels_up_to_an_eighth_equally_often() -> None:
    told = torch.zeros(500, 7)
    told[:, 3], told[:, 4] = (torch.arange(500) + 0.5) / 500, 0.5
    spot = torch.zeros(500, 3, 16, 16)
    spot[:, :, 8, 8] = 1
    places = DiffAugment(["translation"]).change(spot, told)[:, 0].nonzero()
    assert (places[:, 2] == 8).all()
    assert torch.bincount(places[:, 1] - 6).tolist() == [100] * 5


def test_cutout_takes_a_quarter_of_the_picture_where_it_lies_inside() -> None:
    white, told = torch.ones(1, 3, 16, 16), torch.full((1, 7), 0.5)
    assert (DiffAugment(["cutout"]).change(white, told) == 0).sum() == 3 * 8 * 8


@pytest.mark.parametrize("policy", [[], ()])
def test_an_empty_policy_changes_nothing_and_uses_no_randomness(policy: list[str]) -> None:
    augment, given = DiffAugment(policy), images()
    before = torch.get_rng_state()
    assert torch.equal(augment(given), given)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("policy", [["color"], ALL], ids="+".join)
def test_calling_it_is_drawing_numbers_and_changing_by_them(policy: list[str]) -> None:
    augment = DiffAugment(policy)
    torch.manual_seed(0)
    changed = augment(images())
    torch.manual_seed(0)
    assert torch.equal(changed, augment.change(images(), augment.draw(4, torch.device("cpu"))))
    assert not torch.equal(changed, augment(images()))


def test_the_numbers_are_seven_for_each_picture_uniform_in_the_unit_interval() -> None:
    torch.manual_seed(0)
    drawn = DiffAugment(ALL).draw(2000, torch.device("cpu"))
    assert drawn.shape == (2000, 7)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert (drawn.mean(0) - 0.5).abs().max() < 5 / (12 * 2000) ** 0.5  # five standard deviations


def test_each_picture_is_changed_by_its_own_numbers() -> None:
    together = DiffAugment(ALL).change(images(), numbers())
    for i in range(4):
        alone = DiffAugment(ALL).change(images()[i : i + 1], numbers()[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)


def test_what_is_seen_teaches_the_picture_and_what_is_cut_out_does_not() -> None:
    given = images(1).requires_grad_()
    told = torch.full((1, 7), 0.5)
    DiffAugment(["cutout"]).change(given, told).sum().backward()
    assert given.grad is not None
    kept = torch.ones(16, 16)
    kept[4:12, 4:12] = 0
    assert torch.equal(given.grad[0], kept.expand(3, 16, 16))


def test_the_gradient_is_that_of_finite_differences() -> None:
    given = images(2, 4).double().requires_grad_()
    told = numbers(2).double()
    assert torch.autograd.gradcheck(lambda x: DiffAugment(ALL).change(x, told), given)


def test_color_at_half_the_scale_is_the_same_change() -> None:
    large, told = images(6, 16), numbers(6)
    augment = DiffAugment(["color"])
    small = augment.change(F.avg_pool2d(large, 2), told)
    torch.testing.assert_close(small, F.avg_pool2d(augment.change(large, told), 2))


def centre(picture: Tensor) -> list[float]:
    """Where the ones of (size, size) lie, in shares of the width."""
    return ((picture.nonzero().float().mean(0) + 0.5) / len(picture)).tolist()


@pytest.mark.parametrize("seed", range(8))
def test_a_picture_moves_by_the_same_share_at_two_scales(seed: int) -> None:
    told = numbers(1, seed)
    large = torch.zeros(1, 3, 32, 32)
    large[:, :, 12:20, 12:20] = 1
    small = F.avg_pool2d(large, 2)
    moved_large, moved_small = (DiffAugment(["translation"]).change(each, told)[0, 0] for each in (large, small))
    for one, other in zip(centre(moved_large), centre(moved_small), strict=True):
        assert abs(one - other) <= 1 / 16  # a pixel of the small one


@pytest.mark.parametrize("seed", range(8))
def test_the_same_share_is_cut_out_at_two_scales(seed: int) -> None:
    told = numbers(1, seed)
    large, small = (DiffAugment(["cutout"]).change(torch.ones(1, 3, size, size), told)[0, 0] == 0 for size in (32, 16))
    share = [cut_out.float().mean().item() for cut_out in (large, small)]
    for one, other in zip(centre(large), centre(small), strict=True):
        assert abs(one - other) <= 1 / 16
    assert share[0] == pytest.approx(share[1], abs=0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pictures_keep_their_kind(dtype: torch.dtype) -> None:
    changed = DiffAugment(ALL).change(images().to(dtype), numbers())
    assert changed.dtype == dtype
    assert changed.shape == images().shape


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(ValueError, match=r"policy has colour: choose among color, translation, cutout"):
        DiffAugment(["colour", "cutout"])


def test_pythons_own_randomness_is_not_used() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  # the global state is what must not matter
    torch.manual_seed(0)
    one = DiffAugment(ALL)(images())
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002  # the global state is what must not matter
    torch.manual_seed(0)
    assert torch.equal(DiffAugment(ALL)(images()), one)
