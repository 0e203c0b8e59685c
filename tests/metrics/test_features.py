from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from t2f.data.faces import Images
from t2f.metrics.features import BATCH_SIZE, FeatureExtractor, Features, cached_features, extract_features
from t2f.utils.errors import UserError


class Means(FeatureExtractor):
    """Weighted mean of each color channel."""

    conventional_names: ClassVar[dict[str, str]] = {"frechet_distance": "FMD"}

    def __init__(self, weight: float = 1, name: str = "Means", resize: str = "none") -> None:
        super().__init__()
        self.name, self.num_features, self.resize = name, 3, resize
        self.weight = nn.Parameter(torch.full((3,), weight), requires_grad=False)
        self.dropout = nn.Dropout()
        self.eval()
        self.batch_sizes: list[int] = []

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.batch_sizes.append(len(images))
        means = self.dropout(images.double().mean(dim=(2, 3)) * self.weight)
        return means, -means


def random_images(seed: int = 0, count: int = 150) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 5, 5), dtype=np.uint8)


def refuse(*_: object) -> None:
    raise AssertionError("extracted again")


def test_extracts_in_batches_and_in_order() -> None:
    extractor = Means()
    images = torch.from_numpy(random_images())
    extracted = extract_features(extractor, images)
    assert extractor.batch_sizes == [BATCH_SIZE, BATCH_SIZE, 150 - 2 * BATCH_SIZE]
    torch.testing.assert_close(extracted.features, images.float().mean(dim=(2, 3)))
    assert torch.equal(extracted.logits, -extracted.features)
    assert extracted.features.dtype == extracted.logits.dtype == torch.float32
    assert len(extracted) == 150
    assert torch.equal(extracted.images, images)


def test_features_move_to_a_device_without_the_images() -> None:
    moved = Features(*(torch.ones(2, 3) for _ in range(3))).to(torch.device("meta"))
    assert [part.device.type for part in (moved.images, moved.features, moved.logits)] == ["cpu", "meta", "meta"]


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8).byte(), torch.zeros(2, 1, 8, 8).byte()]
)
def test_images_of_another_dtype_or_shape_raise_an_error(images: Tensor) -> None:
    with pytest.raises(
        UserError, match=r"^Feature extractors take uint8 images \(B, 3, R, R\), not torch\..*to_uint8\.$"
    ):
        Means()(images)


def test_stays_in_evaluation_mode() -> None:
    extractor = Means()
    assert not extractor.train().training
    assert not extractor.dropout.training
    assert not nn.ModuleList([extractor]).train()[0].dropout.training


def test_title_is_the_conventional_name_if_there_is_one() -> None:
    assert Means().title("frechet_distance") == "FMD"
    assert Means().title("kernel_distance") == "kernel distance"


def test_checksum_changes_with_weights_name_and_resize() -> None:
    assert Means().checksum() == Means().checksum()
    others = [Means(), Means(1.0001), Means(name="Other"), Means(resize="to 8x8")]
    assert len({each.checksum() for each in others}) == 4


def test_features_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = random_images()
    first = cached_features(Means(), images, tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("features-")
    monkeypatch.setattr(Means, "extract", refuse)
    second = cached_features(Means(), images, tmp_path)
    for one, other in zip(vars(first).values(), vars(second).values(), strict=True):
        assert torch.equal(one, other) and one.dtype == other.dtype
    assert torch.equal(second.images, torch.from_numpy(images))


def brighter(images: Images) -> Images:
    images = images.copy()
    images[-1, 2, 4, 4] ^= 1
    return images


CHANGES: dict[str, Callable[[Images], tuple[FeatureExtractor, Images]]] = {
    "one pixel": lambda images: (Means(), brighter(images)),
    "order": lambda images: (Means(), images[::-1]),
    "number": lambda images: (Means(), images[:-1]),
    "shape": lambda images: (Means(), images.reshape(-1, 3, 25, 1)),
    "weights": lambda images: (Means(2), images),
    "extractor": lambda images: (Means(name="Other"), images),
    "resize": lambda images: (Means(resize="other"), images),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_invalidates_the_cache(tmp_path: Path, change: str) -> None:
    images = random_images()
    cached_features(Means(), images, tmp_path)
    extractor, changed = CHANGES[change](images)
    features = cached_features(extractor, changed, tmp_path)
    expected = extract_features(extractor, torch.from_numpy(changed.copy()))
    assert torch.equal(features.features, expected.features)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"no tensors", None])
def test_damaged_cache_file_is_replaced(tmp_path: Path, damage: bytes | None) -> None:
    first = cached_features(Means(), random_images(), tmp_path)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:-100] if damage is None else damage)
    assert torch.equal(cached_features(Means(), random_images(), tmp_path).features, first.features)
    assert path.read_bytes() == content


def test_memory_mapped_images_are_not_modified(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", random_images())
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    extracted = cached_features(Means(), mapped, tmp_path / "cache")
    extracted.images.zero_()
    assert np.array_equal(mapped, random_images())
