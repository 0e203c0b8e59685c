from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from t2f.data.faces import Images
from t2f.metrics.features import BLOCK, FeatureExtractor, Features, read_all, read_once
from t2f.utils.errors import UserError


class Means(FeatureExtractor):
    """Mean colours, weighed."""

    known_as: ClassVar[dict[str, str]] = {"frechet_distance": "FMD"}

    def __init__(self, weight: float = 1, name: str = "Means", resize: str = "none") -> None:
        super().__init__()
        self.name, self.size, self.resize = name, 3, resize
        self.weight = nn.Parameter(torch.full((3,), weight), requires_grad=False)
        self.dropout = nn.Dropout()
        self.eval()
        self.blocks: list[int] = []

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.blocks.append(len(images))
        means = self.dropout(images.double().mean(dim=(2, 3)) * self.weight)
        return means, -means


def faces(seed: int = 0, count: int = 150) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 5, 5), dtype=np.uint8)


def refuse(*_: object) -> None:
    raise AssertionError("read again")


def test_reads_block_by_block_and_in_order() -> None:
    extractor = Means()
    images = torch.from_numpy(faces())
    reading = read_all(extractor, images)
    assert extractor.blocks == [BLOCK, BLOCK, 150 - 2 * BLOCK]
    torch.testing.assert_close(reading.features, images.float().mean(dim=(2, 3)))
    assert torch.equal(reading.logits, -reading.features)
    assert reading.features.dtype == reading.logits.dtype == torch.float32
    assert len(reading) == 150
    assert torch.equal(reading.images, images)


def test_what_was_read_moves_and_the_pictures_stay() -> None:
    moved = Features(*(torch.ones(2, 3) for _ in range(3))).to(torch.device("meta"))
    assert [part.device.type for part in (moved.images, moved.features, moved.logits)] == ["cpu", "meta", "meta"]


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8).byte(), torch.zeros(2, 1, 8, 8).byte()]
)
def test_images_of_another_kind_are_refused(images: Tensor) -> None:
    with pytest.raises(
        UserError, match=r"^Features are read off uint8 images \(B, 3, R, R\), not torch\..*to_uint8\.$"
    ):
        Means()(images)


def test_stays_in_evaluation_mode() -> None:
    extractor = Means()
    assert not extractor.train().training
    assert not extractor.dropout.training
    assert not nn.ModuleList([extractor]).train()[0].dropout.training


def test_only_known_figures_bear_the_names_of_tradition() -> None:
    assert Means().title("frechet_distance") == "FMD"
    assert Means().title("kernel_distance") == "kernel distance"


def test_checksum_changes_with_weights_name_and_resize() -> None:
    assert Means().checksum() == Means().checksum()
    others = [Means(), Means(1.0001), Means(name="Other"), Means(resize="to 8x8")]
    assert len({each.checksum() for each in others}) == 4


def test_what_was_read_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = faces()
    first = read_once(Means(), images, tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("features-")
    monkeypatch.setattr(Means, "read", refuse)
    second = read_once(Means(), images, tmp_path)
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
def test_what_was_read_of_something_else_is_never_used(tmp_path: Path, change: str) -> None:
    images = faces()
    read_once(Means(), images, tmp_path)
    extractor, changed = CHANGES[change](images)
    found = read_once(extractor, changed, tmp_path)
    expected = read_all(extractor, torch.from_numpy(changed.copy()))
    assert torch.equal(found.features, expected.features)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"no tensors", None])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes | None) -> None:
    first = read_once(Means(), faces(), tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-100] if damage is None else damage)
    assert torch.equal(read_once(Means(), faces(), tmp_path).features, first.features)
    assert path.read_bytes() == whole


def test_memory_mapped_images_are_left_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", faces())
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    reading = read_once(Means(), mapped, tmp_path / "cache")
    reading.images.zero_()
    assert np.array_equal(mapped, faces())
