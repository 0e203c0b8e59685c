"""Each augmentation, compared with a plain reference for one image that follows the paper's own code."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from t2f.networks.diffaugment import DiffAugment

ALL = ["color", "translation", "cutout"]
Array = np.ndarray


def images(count: int = 4, size: int = 16) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def numbers(count: int = 4, seed: int = 1) -> Tensor:
    return torch.rand(count, 7, generator=torch.Generator().manual_seed(seed))


def colored(image: Array, uniform: list[float]) -> Array:
    """Add U(-0.5, 0.5) to the brightness, multiply the saturation by U(0, 2) and the contrast by U(0.5, 1.5)."""
    image = image + (uniform[0] - 0.5)
    result = np.empty_like(image)
    size = image.shape[1]
    for y in range(size):
        for x in range(size):
            gray = sum(image[channel, y, x] for channel in range(3)) / 3
            for channel in range(3):
                result[channel, y, x] = gray + (image[channel, y, x] - gray) * (2 * uniform[1])
    return result.mean() + (result - result.mean()) * (0.5 + uniform[2])


def shift(uniform: float, size: int) -> int:
    """Return a whole number of pixels, at most an eighth of the width in either direction, all equally likely."""
    limit = round(size / 8)
    return list(range(-limit, limit + 1))[int(uniform * (2 * limit + 1))]


def moved(image: Array, uniform: list[float]) -> Array:
    """Shift down and to the right, and fill with 0, the middle of the range."""
    size = image.shape[1]
    down, right = shift(uniform[3], size), shift(uniform[4], size)
    result = np.zeros_like(image)
    for y in range(size):
        for x in range(size):
            if 0 <= y - down < size and 0 <= x - right < size:
                result[:, y, x] = image[:, y - down, x - right]
    return result


def cut(image: Array, uniform: list[float]) -> Array:
    """Set a square of half the width to 0. Its center may be anywhere in the image."""
    size = image.shape[1]
    result = image.copy()
    center_y, center_x = int(uniform[5] * (size + 1)), int(uniform[6] * (size + 1))
    for y in range(size):
        for x in range(size):
            if -size // 4 <= y - center_y < size // 4 and -size // 4 <= x - center_x < size // 4:
                result[:, y, x] = 0
    return result


REFERENCES = {"color": colored, "translation": moved, "cutout": cut}


@pytest.mark.parametrize("size", [4, 8, 16])
@pytest.mark.parametrize("policy", [["color"], ["translation"], ["cutout"], ALL], ids="+".join)
def test_each_image_is_changed_like_the_reference(policy: list[str], size: int) -> None:
    given, uniform = images(12, size), numbers(12)
    changed = DiffAugment(policy).change(given, uniform)
    for image, row, result in zip(given, uniform, changed, strict=True):
        expected = image.double().numpy()
        for part in ALL:  # in the paper's order, not the policy's
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
    uniform = torch.tensor([[number, 0.5, 0.5, 0, 0, 0, 0]])
    torch.testing.assert_close(DiffAugment(["color"]).change(images(1), uniform), images(1) + change)


@pytest.mark.parametrize(("number", "factor"), [(0.0, 0.0), (0.5, 1.0), (0.75, 1.5)])
def test_saturation_is_multiplied_by_up_to_two(number: float, factor: float) -> None:
    uniform = torch.tensor([[0.5, number, 0.5, 0, 0, 0, 0]])
    changed = DiffAugment(["color"]).change(images(1), uniform)
    gray, new_gray = images(1).mean(1, keepdim=True), changed.mean(1, keepdim=True)
    torch.testing.assert_close(new_gray, gray)
    torch.testing.assert_close(changed - new_gray, (images(1) - gray) * factor)


@pytest.mark.parametrize(("number", "factor"), [(0.0, 0.5), (0.5, 1.0), (0.9, 1.4)])
def test_contrast_is_multiplied_by_a_half_to_one_and_a_half(number: float, factor: float) -> None:
    uniform = torch.tensor([[0.5, 0.5, number, 0, 0, 0, 0]])
    changed = DiffAugment(["color"]).change(images(1), uniform)
    torch.testing.assert_close(changed.mean(), images(1).mean())
    torch.testing.assert_close(changed - changed.mean(), (images(1) - images(1).mean()) * factor)


def test_images_move_by_every_number_of_pixels_up_to_an_eighth_equally_often() -> None:
    uniform = torch.zeros(500, 7)
    uniform[:, 3], uniform[:, 4] = (torch.arange(500) + 0.5) / 500, 0.5
    point = torch.zeros(500, 3, 16, 16)
    point[:, :, 8, 8] = 1
    places = DiffAugment(["translation"]).change(point, uniform)[:, 0].nonzero()
    assert (places[:, 2] == 8).all()
    assert torch.bincount(places[:, 1] - 6).tolist() == [100] * 5


def test_cutout_removes_a_quarter_of_the_image_if_it_lies_inside() -> None:
    white, uniform = torch.ones(1, 3, 16, 16), torch.full((1, 7), 0.5)
    assert (DiffAugment(["cutout"]).change(white, uniform) == 0).sum() == 3 * 8 * 8


@pytest.mark.parametrize("policy", [[], ()])
def test_an_empty_policy_changes_nothing_and_uses_no_randomness(policy: list[str]) -> None:
    augment, given = DiffAugment(policy), images()
    before = torch.get_rng_state()
    assert torch.equal(augment(given), given)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("policy", [["color"], ALL], ids="+".join)
def test_forward_draws_numbers_and_augments_by_them(policy: list[str]) -> None:
    augment = DiffAugment(policy)
    torch.manual_seed(0)
    changed = augment(images())
    torch.manual_seed(0)
    assert torch.equal(changed, augment.change(images(), augment.draw(4, torch.device("cpu"))))
    assert not torch.equal(changed, augment(images()))


def test_each_image_has_seven_uniform_numbers_in_the_unit_interval() -> None:
    torch.manual_seed(0)
    sampled = DiffAugment(ALL).draw(2000, torch.device("cpu"))
    assert sampled.shape == (2000, 7)
    assert sampled.min() >= 0
    assert sampled.max() < 1
    assert (sampled.mean(0) - 0.5).abs().max() < 5 / (12 * 2000) ** 0.5  # five standard deviations


def test_each_image_is_changed_by_its_own_numbers() -> None:
    together = DiffAugment(ALL).change(images(), numbers())
    for i in range(4):
        alone = DiffAugment(ALL).change(images()[i : i + 1], numbers()[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)


def test_only_visible_pixels_get_a_gradient() -> None:
    given = images(1).requires_grad_()
    uniform = torch.full((1, 7), 0.5)
    DiffAugment(["cutout"]).change(given, uniform).sum().backward()
    assert given.grad is not None
    visible = torch.ones(16, 16)
    visible[4:12, 4:12] = 0
    assert torch.equal(given.grad[0], visible.expand(3, 16, 16))


def test_the_gradient_is_that_of_finite_differences() -> None:
    given = images(2, 4).double().requires_grad_()
    uniform = numbers(2).double()
    assert torch.autograd.gradcheck(lambda x: DiffAugment(ALL).change(x, uniform), given)


def test_color_at_half_the_scale_is_the_same_change() -> None:
    large, uniform = images(6, 16), numbers(6)
    augment = DiffAugment(["color"])
    small = augment.change(F.avg_pool2d(large, 2), uniform)
    torch.testing.assert_close(small, F.avg_pool2d(augment.change(large, uniform), 2))


def center(mask: Tensor) -> list[float]:
    """Return the center of the ones in a mask (size, size), as fractions of the width."""
    return ((mask.nonzero().float().mean(0) + 0.5) / len(mask)).tolist()


@pytest.mark.parametrize("seed", range(8))
def test_an_image_moves_by_the_same_fraction_at_two_scales(seed: int) -> None:
    uniform = numbers(1, seed)
    large = torch.zeros(1, 3, 32, 32)
    large[:, :, 12:20, 12:20] = 1
    small = F.avg_pool2d(large, 2)
    moved_large, moved_small = (DiffAugment(["translation"]).change(each, uniform)[0, 0] for each in (large, small))
    for one, other in zip(center(moved_large), center(moved_small), strict=True):
        assert abs(one - other) <= 1 / 16  # a pixel of the small image


@pytest.mark.parametrize("seed", range(8))
def test_the_same_fraction_is_cut_out_at_two_scales(seed: int) -> None:
    uniform = numbers(1, seed)
    large, small = (
        DiffAugment(["cutout"]).change(torch.ones(1, 3, size, size), uniform)[0, 0] == 0 for size in (32, 16)
    )
    fractions = [cut_out.float().mean().item() for cut_out in (large, small)]
    for one, other in zip(center(large), center(small), strict=True):
        assert abs(one - other) <= 1 / 16
    assert fractions[0] == pytest.approx(fractions[1], abs=0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_images_keep_their_dtype_and_shape(dtype: torch.dtype) -> None:
    changed = DiffAugment(ALL).change(images().to(dtype), numbers())
    assert changed.dtype == dtype
    assert changed.shape == images().shape


def test_an_unknown_augmentation_is_refused() -> None:
    with pytest.raises(ValueError, match=r"policy has colour: choose among color, translation, cutout"):
        DiffAugment(["colour", "cutout"])


def test_the_random_numbers_of_python_and_numpy_are_not_used() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  # the global state must not matter
    torch.manual_seed(0)
    one = DiffAugment(ALL)(images())
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002  # the global state must not matter
    torch.manual_seed(0)
    assert torch.equal(DiffAugment(ALL)(images()), one)
