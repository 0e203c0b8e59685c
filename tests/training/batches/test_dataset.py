from collections.abc import Sequence

import numpy as np
import pytest
import torch

from t2f.conditioning.attributes import AttributeConditioner
from t2f.conditioning.base import Conditioner
from t2f.conditioning.sentences import TokenConditioner
from t2f.data.faces import Faces
from t2f.training.batches import dataset
from t2f.training.batches.batch import Batch
from t2f.training.batches.dataset import ConditionedFaces, copy_to
from t2f.training.batches.sampler import BatchIndices, ImagesSeenSampler
from t2f.training.growth_schedule import GrowthSchedule

CAPTIONS: list[list[str]] = [["zero"], ["one", "uno", "eins"], ["two", "dos"], ["three", "tres", "drei", "trois"]]
PARTLY: list[list[str]] = [[], ["one", "uno", "eins"], [], ["three", "tres"]]


@pytest.fixture(params=["mapped", "loaded"])
def storage(request: pytest.FixtureRequest) -> str:
    """Batches do not depend on it. The copy for a GPU is made on the CPU here."""
    name: str = request.param
    return name


def conditioned(faces: Faces, conditioner: Conditioner, mirror: bool, storage: str = "mapped") -> ConditionedFaces:
    dataset = ConditionedFaces(faces, conditioner, mirror)
    if storage == "loaded":
        dataset.load_to(torch.device("cpu"))
    return dataset


def make_faces(resolution: int = 8, captions: Sequence[Sequence[str]] = CAPTIONS) -> Faces:
    """Face i is a uniform image of brightness 10 * i; the attributes are 0, 1, 0, 1."""
    images = np.broadcast_to(np.arange(0, 40, 10, dtype=np.uint8)[:, None, None, None], (4, 3, resolution, resolution))
    return Faces(images, captions, np.array([[0], [1], [0], [1]], np.int8), ["Smiling"])


def noise_faces(count: int = 4) -> Faces:
    """Faces that rotation and mirroring change."""
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 8, 8), dtype=np.uint8)
    return Faces(images, [["a face"]] * count, np.ones((count, 1), np.int8), ["Smiling"])


@pytest.fixture
def conditioner() -> TokenConditioner:
    return TokenConditioner.fit(make_faces(), vocabulary=100, max_tokens=3)


def make_indices(
    faces: list[int], choice: list[float], mirror: list[float] | None = None, labeled: int | None = None
) -> BatchIndices:
    known = len(faces) if labeled is None else labeled
    return BatchIndices(np.array(faces), np.array(choice), np.array(mirror or [0.9] * len(faces)), known)


def test_images_are_in_the_order_of_the_indices_with_repeats(storage: str, conditioner: TokenConditioner) -> None:
    batch = conditioned(make_faces(), conditioner, mirror=False, storage=storage)[
        make_indices([3, 0, 2, 3, 1], [0.0] * 5)
    ]
    assert batch["images"].dtype == torch.uint8
    assert batch["images"].shape == (5, 3, 8, 8)
    assert batch["images"][:, 2, 7, 0].tolist() == [30, 0, 20, 30, 10]
    assert torch.equal(batch["images"], batch["images"][:, :1, :1, :1].expand(5, 3, 8, 8))


@pytest.mark.parametrize(
    ("face", "choice", "caption"),
    [
        (0, 0.0, "zero"),
        (0, 0.999, "zero"),
        (1, 0.33, "one"),
        (1, 0.34, "uno"),
        (1, 0.67, "eins"),
        (2, 0.49, "two"),
        (2, 0.5, "dos"),
        (3, 0.0, "three"),
        (3, 0.25, "tres"),
        (3, 0.5, "drei"),
        (3, 1 - 2**-53, "trois"),  # the largest number below 1
    ],
)
def test_choice_selects_a_caption_of_the_face(
    storage: str, conditioner: TokenConditioner, face: int, choice: float, caption: str
) -> None:
    batch = conditioned(make_faces(), conditioner, mirror=False, storage=storage)[make_indices([face], [choice])]
    assert torch.equal(batch["conditions"], conditioner([caption]))


def test_captions_have_equal_probability(storage: str, conditioner: TokenConditioner) -> None:
    numbers = ((np.arange(120) + 0.5) / 120).tolist()
    for face, captions in enumerate(CAPTIONS):
        conditions = conditioned(make_faces(), conditioner, mirror=False, storage=storage)[
            make_indices([face] * 120, numbers)
        ]["conditions"]
        counts = [int((conditions == conditioner([caption])).all(dim=1).sum()) for caption in captions]
        assert counts == [120 // len(captions)] * len(captions)


def test_faces_without_captions_are_unlabeled(storage: str, conditioner: TokenConditioner) -> None:
    faces = conditioned(make_faces(captions=PARTLY), conditioner, mirror=False, storage=storage)
    assert faces.labeled.tolist() == [False, True, False, True]
    assert conditioned(make_faces(), conditioner, mirror=False, storage=storage).labeled.all()


def test_unlabeled_faces_get_any_condition_with_equal_probability(storage: str, conditioner: TokenConditioner) -> None:
    numbers = ((np.arange(100) + 0.5) / 100).tolist()
    faces = conditioned(make_faces(captions=PARTLY), conditioner, mirror=False, storage=storage)
    batch = faces[make_indices([0] * 100, numbers, labeled=0)]
    assert not batch["labeled"].any()
    assert not batch["images"].any()
    captions = [caption for captions in PARTLY for caption in captions]
    counts = [int((batch["conditions"] == conditioner([caption])).all(dim=1).sum()) for caption in captions]
    assert counts == [20] * 5


def test_labeled_faces_of_a_mixed_batch_have_their_own_captions(storage: str, conditioner: TokenConditioner) -> None:
    batch = conditioned(make_faces(captions=PARTLY), conditioner, mirror=False, storage=storage)[
        make_indices([1, 3, 0, 2], [0.4, 0.99, 0.99, 0.0], labeled=2)
    ]
    assert batch["labeled"].tolist() == [True, True] + [False] * (len(batch["labeled"]) - 2)
    assert batch["images"][:, 0, 0, 0].tolist() == [10, 30, 0, 20]
    assert torch.equal(batch["conditions"], conditioner(["uno", "tres", "tres", "one"]))


def test_images_are_mirrored_if_mirror_is_below_a_half(storage: str, conditioner: TokenConditioner) -> None:
    source = noise_faces()
    faces = conditioned(source, TokenConditioner.fit(source, 100, 3), mirror=True, storage=storage)
    images = faces[make_indices([0, 1, 2, 3], [0.0] * 4, [0.0, 0.5, 0.499, 0.99])]["images"].numpy()
    for face, mirrored in enumerate([True, False, True, False]):
        expected = source.images[face][:, :, ::-1] if mirrored else source.images[face]
        assert np.array_equal(images[face], expected)


def test_images_are_not_mirrored_by_default(storage: str) -> None:
    source = noise_faces()
    faces = conditioned(source, TokenConditioner.fit(source, 100, 3), mirror=False, storage=storage)
    assert np.array_equal(faces[make_indices([0, 1, 2, 3], [0.0] * 4, [0.0] * 4)]["images"].numpy(), source.images)


def test_about_half_of_the_images_are_mirrored(storage: str) -> None:
    source = noise_faces(1)
    faces = conditioned(source, TokenConditioner.fit(source, 100, 3), mirror=True, storage=storage)
    sampler = ImagesSeenSampler(np.ones(1, bool), 0.5, GrowthSchedule([8], [100], [0], images=[2000]), 0, 0, 0, 1)
    images = np.concatenate([faces[indices]["images"].numpy() for indices in sampler])
    mirrored = (images == source.images[0][:, :, ::-1]).all(axis=(1, 2, 3))
    assert (images[~mirrored] == source.images[0]).all()
    assert abs(mirrored.sum() - 1000) < 5 * np.sqrt(500)  # five standard deviations


def test_the_source_images_do_not_change(storage: str) -> None:
    source = noise_faces()
    before = source.images.copy()
    conditioned(source, AttributeConditioner(["Smiling"], rotations=True), mirror=True, storage=storage)[
        make_indices([0, 1, 2, 3], [0.1, 0.3, 0.6, 0.9], [0.0] * 4)
    ]
    assert np.array_equal(source.images, before)


@pytest.mark.parametrize(("choice", "rotation_k"), [(0.1, 0), (0.3, 1), (0.6, 2), (0.9, 3)])
def test_images_are_rotated_counterclockwise_as_the_condition_says(
    storage: str, choice: float, rotation_k: int
) -> None:
    source = noise_faces()
    batch = conditioned(source, AttributeConditioner(["Smiling"], rotations=True), mirror=False, storage=storage)[
        make_indices([2], [choice])
    ]
    expected = np.stack([np.rot90(channel, rotation_k) for channel in source.images[2]])
    assert np.array_equal(batch["images"][0].numpy(), expected)
    assert batch["conditions"][0].tolist() == [1.0, *(float(k == rotation_k) for k in range(4))]


def test_90_degrees_moves_the_right_edge_to_the_top(storage: str) -> None:
    images = np.zeros((1, 3, 8, 8), np.uint8)
    images[0, :, :, 7] = 255  # the right edge
    source = Faces(images, [["a face"]], np.ones((1, 1), np.int8), ["Smiling"])
    attributes = AttributeConditioner(["Smiling"], rotations=True)
    batch = conditioned(source, attributes, mirror=False, storage=storage)[make_indices([0], [0.25])]
    assert torch.equal(batch["conditions"], attributes(["Smiling, 90 degrees"]))
    assert (batch["images"][0, :, 0] == 255).all()
    assert not batch["images"][0, :, 1:].any()


def test_images_are_mirrored_before_they_are_rotated(storage: str) -> None:
    source = noise_faces()
    faces = conditioned(source, AttributeConditioner(["Smiling"], rotations=True), mirror=True, storage=storage)
    image = faces[make_indices([1], [0.3], [0.0])]["images"][0].numpy()
    assert np.array_equal(image, np.rot90(source.images[1][:, :, ::-1], 1, axes=(1, 2)))


def test_rotations_have_equal_probability(storage: str) -> None:
    numbers = ((np.arange(40) + 0.5) / 40).tolist()
    batch = conditioned(
        noise_faces(), AttributeConditioner(["Smiling"], rotations=True), mirror=False, storage=storage
    )[make_indices([1] * 40, numbers)]
    assert batch["conditions"][:, 1:].sum(0).tolist() == [10] * 4


# --- copies on a device -----------------------------------------------------------------------------------------------


def test_images_are_copied_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    images = noise_faces(7).images
    monkeypatch.setattr(dataset, "BYTES_PER_COPY", 3 * images[0].nbytes)
    assert np.array_equal(copy_to(images, torch.device("cpu")).numpy(), images)


@pytest.mark.parametrize(
    ("device", "free", "cached", "expected"),
    [
        ("cuda", 4, 0, True),
        ("cuda", 3.9, 0, False),
        ("cuda", 3.9, 0.1, True),
        ("cpu", 4, 0, False),
        ("mps", 4, 0, False),
    ],
)
def test_faces_and_conditions_fit_in_a_quarter_of_a_gpus_free_memory(
    device: str, free: float, cached: float, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 images of 3 x 8 x 8 bytes, an attribute of one byte, and a caption of 3 tokens of 8 bytes."""
    source = noise_faces(100)
    faces = ConditionedFaces(source, TokenConditioner.fit(source, vocabulary=100, max_tokens=3), mirror=False)
    size = 100 * (3 * 8 * 8 + 1) + 1 * 3 * 8 * 100
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free * size), 10**12))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 10**6 + int(cached * size))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 10**6)
    assert faces.fits(torch.device(device)) == expected


@pytest.mark.gpu
@pytest.mark.parametrize("rotations", [False, True])
def test_a_gpu_gives_the_same_batches_without_synchronization(rotations: bool) -> None:
    source, attributes = noise_faces(), AttributeConditioner(["Smiling"], rotations=rotations)
    mapped, loaded = (ConditionedFaces(source, attributes, mirror=True) for _ in range(2))
    loaded.load_to(torch.device("cuda"))
    indices = make_indices([0, 3, 2, 0], [0.1, 0.3, 0.6, 0.9], [0.2, 0.7, 0.1, 0.3])
    torch.cuda.set_sync_debug_mode("error")
    try:
        found: Batch = loaded[indices]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for name in ("images", "conditions", "attributes"):
        assert torch.equal(found[name].cpu(), mapped[indices][name])  # type: ignore[literal-required]  # three of its keys
