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
from t2f.training.batches.dataset import ConditionedFaces, copied
from t2f.training.batches.sampler import BatchIndices, ImagesSeenSampler
from t2f.training.growth_schedule import GrowthSchedule

CAPTIONS: list[list[str]] = [["zero"], ["one", "uno", "eins"], ["two", "dos"], ["three", "tres", "drei", "trois"]]
PARTLY: list[list[str]] = [[], ["one", "uno", "eins"], [], ["three", "tres"]]


@pytest.fixture(params=["mapped", "kept"])
def place(request: pytest.FixtureRequest) -> str:
    """Batches are the same wherever faces are kept; a GPU's copy is made as the CPU's here."""
    name: str = request.param
    return name


def conditioned(faces: Faces, conditioner: Conditioner, mirror: bool, place: str = "mapped") -> ConditionedFaces:
    made = ConditionedFaces(faces, conditioner, mirror)
    if place == "kept":
        made.keep_on(torch.device("cpu"))
    return made


def make_faces(resolution: int = 8, captions: Sequence[Sequence[str]] = CAPTIONS) -> Faces:
    """Face i is a plain picture of brightness 10 * i; its one attribute is 0, 1, 0, 1."""
    images = np.broadcast_to(np.arange(0, 40, 10, dtype=np.uint8)[:, None, None, None], (4, 3, resolution, resolution))
    return Faces(images, captions, np.array([[0], [1], [0], [1]], np.int8), ["Smiling"])


def scribbled(count: int = 4) -> Faces:
    """Faces that no turn or mirror leaves alike."""
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 8, 8), dtype=np.uint8)
    return Faces(images, [["a face"]] * count, np.ones((count, 1), np.int8), ["Smiling"])


@pytest.fixture
def words() -> TokenConditioner:
    return TokenConditioner.fit(make_faces(), vocabulary=100, max_tokens=3)


def draw(
    faces: list[int], choice: list[float], mirror: list[float] | None = None, labeled: int | None = None
) -> BatchIndices:
    known = len(faces) if labeled is None else labeled
    return BatchIndices(np.array(faces), np.array(choice), np.array(mirror or [0.9] * len(faces)), known)


def test_images_come_in_the_order_drawn_with_repeats(place: str, words: TokenConditioner) -> None:
    batch = conditioned(make_faces(), words, mirror=False, place=place)[draw([3, 0, 2, 3, 1], [0.0] * 5)]
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
        (3, 1 - 2**-53, "trois"),  # the last number below 1
    ],
)
def test_the_choice_picks_among_the_faces_own_captions(
    place: str, words: TokenConditioner, face: int, choice: float, caption: str
) -> None:
    batch = conditioned(make_faces(), words, mirror=False, place=place)[draw([face], [choice])]
    assert torch.equal(batch["conditions"], words([caption]))


def test_all_captions_are_equally_likely(place: str, words: TokenConditioner) -> None:
    numbers = ((np.arange(120) + 0.5) / 120).tolist()
    for face, captions in enumerate(CAPTIONS):
        conditions = conditioned(make_faces(), words, mirror=False, place=place)[draw([face] * 120, numbers)][
            "conditions"
        ]
        counts = [int((conditions == words([caption])).all(dim=1).sum()) for caption in captions]
        assert counts == [120 // len(captions)] * len(captions)


def test_faces_without_captions_are_unlabelled(place: str, words: TokenConditioner) -> None:
    faces = conditioned(make_faces(captions=PARTLY), words, mirror=False, place=place)
    assert faces.labeled.tolist() == [False, True, False, True]
    assert conditioned(make_faces(), words, mirror=False, place=place).labeled.all()


def test_unlabelled_faces_are_given_the_conditions_of_others_all_equally_likely(
    place: str, words: TokenConditioner
) -> None:
    numbers = ((np.arange(100) + 0.5) / 100).tolist()
    faces = conditioned(make_faces(captions=PARTLY), words, mirror=False, place=place)
    batch = faces[draw([0] * 100, numbers, labeled=0)]
    assert not batch["labeled"].any()
    assert not batch["images"].any()
    captions = [caption for captions in PARTLY for caption in captions]
    counts = [int((batch["conditions"] == words([caption])).all(dim=1).sum()) for caption in captions]
    assert counts == [20] * 5


def test_the_labelled_of_a_mixed_batch_keep_their_own_words(place: str, words: TokenConditioner) -> None:
    batch = conditioned(make_faces(captions=PARTLY), words, mirror=False, place=place)[
        draw([1, 3, 0, 2], [0.4, 0.99, 0.99, 0.0], labeled=2)
    ]
    assert batch["labeled"].tolist() == [True, True] + [False] * (len(batch["labeled"]) - 2)
    assert batch["images"][:, 0, 0, 0].tolist() == [10, 30, 0, 20]
    assert torch.equal(batch["conditions"], words(["uno", "tres", "tres", "one"]))


def test_pictures_are_mirrored_left_to_right_where_the_number_is_below_a_half(
    place: str, words: TokenConditioner
) -> None:
    source = scribbled()
    faces = conditioned(source, TokenConditioner.fit(source, 100, 3), mirror=True, place=place)
    images = faces[draw([0, 1, 2, 3], [0.0] * 4, [0.0, 0.5, 0.499, 0.99])]["images"].numpy()
    for face, mirrored in enumerate([True, False, True, False]):
        expected = source.images[face][:, :, ::-1] if mirrored else source.images[face]
        assert np.array_equal(images[face], expected)


def test_nothing_is_mirrored_unless_asked_for(place: str) -> None:
    source = scribbled()
    faces = conditioned(source, TokenConditioner.fit(source, 100, 3), mirror=False, place=place)
    assert np.array_equal(faces[draw([0, 1, 2, 3], [0.0] * 4, [0.0] * 4)]["images"].numpy(), source.images)


def test_about_half_of_the_pictures_are_mirrored(place: str) -> None:
    source = scribbled(1)
    faces = conditioned(source, TokenConditioner.fit(source, 100, 3), mirror=True, place=place)
    sampler = ImagesSeenSampler(np.ones(1, bool), 0.5, GrowthSchedule([8], [100], [0], images=[2000]), 0, 0, 0, 1)
    images = np.concatenate([faces[each]["images"].numpy() for each in sampler])
    mirrored = (images == source.images[0][:, :, ::-1]).all(axis=(1, 2, 3))
    assert (images[~mirrored] == source.images[0]).all()
    assert abs(mirrored.sum() - 1000) < 5 * np.sqrt(500)  # five standard deviations


def test_the_faces_themselves_are_left_as_they_are(place: str) -> None:
    source = scribbled()
    before = source.images.copy()
    conditioned(source, AttributeConditioner(["Smiling"], rotations=True), mirror=True, place=place)[
        draw([0, 1, 2, 3], [0.1, 0.3, 0.6, 0.9], [0.0] * 4)
    ]
    assert np.array_equal(source.images, before)


@pytest.mark.parametrize(("choice", "rotation_k"), [(0.1, 0), (0.3, 1), (0.6, 2), (0.9, 3)])
def test_a_row_that_tells_a_rotation_has_its_picture_turned_anticlockwise(
    place: str, choice: float, rotation_k: int
) -> None:
    source = scribbled()
    batch = conditioned(source, AttributeConditioner(["Smiling"], rotations=True), mirror=False, place=place)[
        draw([2], [choice])
    ]
    expected = np.stack([np.rot90(channel, rotation_k) for channel in source.images[2]])
    assert np.array_equal(batch["images"][0].numpy(), expected)
    assert batch["conditions"][0].tolist() == [1.0, *(float(turn == rotation_k) for turn in range(4))]


def test_a_turn_by_90_degrees_brings_the_right_side_to_the_top(place: str) -> None:
    """Anticlockwise, said without numpy's own word for it."""
    images = np.zeros((1, 3, 8, 8), np.uint8)
    images[0, :, :, 7] = 255  # the right edge
    source = Faces(images, [["a face"]], np.ones((1, 1), np.int8), ["Smiling"])
    labels = AttributeConditioner(["Smiling"], rotations=True)
    batch = conditioned(source, labels, mirror=False, place=place)[draw([0], [0.25])]
    assert torch.equal(batch["conditions"], labels(["Smiling, 90 degrees"]))
    assert (batch["images"][0, :, 0] == 255).all()
    assert not batch["images"][0, :, 1:].any()


def test_a_mirrored_picture_is_turned_after_it_was_mirrored(place: str) -> None:
    source = scribbled()
    faces = conditioned(source, AttributeConditioner(["Smiling"], rotations=True), mirror=True, place=place)
    image = faces[draw([1], [0.3], [0.0])]["images"][0].numpy()
    assert np.array_equal(image, np.rot90(source.images[1][:, :, ::-1], 1, axes=(1, 2)))


def test_all_rotations_are_equally_likely(place: str) -> None:
    numbers = ((np.arange(40) + 0.5) / 40).tolist()
    batch = conditioned(scribbled(), AttributeConditioner(["Smiling"], rotations=True), mirror=False, place=place)[
        draw([1] * 40, numbers)
    ]
    assert batch["conditions"][:, 1:].sum(0).tolist() == [10] * 4


# --- copies on a device -----------------------------------------------------------------------------------------------


def test_a_copy_is_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    images = scribbled(7).images
    monkeypatch.setattr(dataset, "BYTES_AT_ONCE", 3 * images[0].nbytes)
    assert np.array_equal(copied(images, torch.device("cpu")).numpy(), images)


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
    """Of 100 pictures of 3 x 8 x 8 bytes, an attribute of one byte, and a description of 3 words of 8 bytes."""
    source = scribbled(100)
    faces = ConditionedFaces(source, TokenConditioner.fit(source, vocabulary=100, max_tokens=3), mirror=False)
    size = 100 * (3 * 8 * 8 + 1) + 1 * 3 * 8 * 100
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free * size), 10**12))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 10**6 + int(cached * size))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 10**6)
    assert faces.fits(torch.device(device)) == expected


@pytest.mark.gpu
@pytest.mark.parametrize("rotations", [False, True])
def test_a_gpu_gives_the_same_batches_and_is_not_waited_for(rotations: bool) -> None:
    source, labels = scribbled(), AttributeConditioner(["Smiling"], rotations=rotations)
    mapped, kept = (ConditionedFaces(source, labels, mirror=True) for _ in range(2))
    kept.keep_on(torch.device("cuda"))
    asked = draw([0, 3, 2, 0], [0.1, 0.3, 0.6, 0.9], [0.2, 0.7, 0.1, 0.3])
    torch.cuda.set_sync_debug_mode("error")
    try:
        found: Batch = kept[asked]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for name in ("images", "conditions", "attributes"):
        assert torch.equal(found[name].cpu(), mapped[asked][name])  # type: ignore[literal-required]  # three of its keys
