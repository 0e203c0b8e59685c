from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from t2f.batches.datamodule import ConditionedFaces, FaceDataModule
from t2f.batches.sampler import Draw, ImageClockSampler
from t2f.conditions.attributes import AttributeLabels
from t2f.conditions.sentences import Words
from t2f.data.faces import Faces
from t2f.errors import UserError
from t2f.growth import GrowthSchedule

CAPTIONS: list[list[str]] = [["zero"], ["one", "uno", "eins"], ["two", "dos"], ["three", "tres", "drei", "trois"]]
PARTLY: list[list[str]] = [[], ["one", "uno", "eins"], [], ["three", "tres"]]


def make_faces(resolution: int = 8, captions: Sequence[Sequence[str]] = CAPTIONS) -> Faces:
    """Face i is a plain picture of brightness 10 * i; its one attribute is 0, 1, 0, 1."""
    images = np.broadcast_to(np.arange(0, 40, 10, dtype=np.uint8)[:, None, None, None], (4, 3, resolution, resolution))
    return Faces(images, captions, np.array([[0], [1], [0], [1]], np.int8), ["Smiling"])


def scribbled(count: int = 4) -> Faces:
    """Faces that no turn or mirror leaves alike."""
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 8, 8), dtype=np.uint8)
    return Faces(images, [["a face"]] * count, np.ones((count, 1), np.int8), ["Smiling"])


class Source:
    name = "plain"
    mirror = False

    def __init__(self, faces: Faces) -> None:
        self.train = self.held_out = faces

    def prepare(self) -> None: ...


@pytest.fixture
def words() -> Words:
    return Words.fit(make_faces(), vocabulary=100, max_tokens=3)


def draw(faces: list[int], choice: list[float], mirror: list[float] | None = None, labelled: int | None = None) -> Draw:
    known = len(faces) if labelled is None else labelled
    return Draw(np.array(faces), np.array(choice), np.array(mirror or [0.9] * len(faces)), known)


def set_up(
    words: Words, world_size: int = 1, rank: int = 0, images_seen: int = 0, faces: Faces | None = None
) -> FaceDataModule:
    schedule = GrowthSchedule([4, 8], [4, 2], [0, 0.5], images=[8, 8])
    data = FaceDataModule(Source(faces or make_faces()), words, schedule, labelled_share=0.5, seed=0, workers=0)
    data.setup("fit")
    trainer: Any = SimpleNamespace(
        world_size=world_size,
        global_rank=rank,
        lightning_module=SimpleNamespace(images_seen=images_seen, least_labelled=1, learns_unlabelled=True),
    )
    data.trainer = trainer
    return data


def test_images_come_in_the_order_drawn_with_repeats(words: Words) -> None:
    batch = ConditionedFaces(make_faces(), words, mirror=False)[draw([3, 0, 2, 3, 1], [0.0] * 5)]
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
def test_the_choice_picks_among_the_faces_own_captions(words: Words, face: int, choice: float, caption: str) -> None:
    batch = ConditionedFaces(make_faces(), words, mirror=False)[draw([face], [choice])]
    assert torch.equal(batch["conditions"], words([caption]))


def test_all_captions_are_equally_likely(words: Words) -> None:
    numbers = ((np.arange(120) + 0.5) / 120).tolist()
    for face, captions in enumerate(CAPTIONS):
        conditions = ConditionedFaces(make_faces(), words, mirror=False)[draw([face] * 120, numbers)]["conditions"]
        counts = [int((conditions == words([caption])).all(dim=1).sum()) for caption in captions]
        assert counts == [120 // len(captions)] * len(captions)


def test_words_stay_with_their_picture_through_the_loader(words: Words) -> None:
    batches = list(set_up(words).train_dataloader())
    assert [len(batch["images"]) for batch in batches] == [4, 4, 2, 2, 2, 2]
    for batch in batches:
        assert batch["labelled"] == len(batch["images"])
        for image, tokens in zip(batch["images"], batch["conditions"], strict=True):
            own = words(CAPTIONS[int(image[0, 0, 0]) // 10])
            assert (own == tokens).all(dim=1).any()
        assert batch["attributes"].dtype == torch.int8
        assert batch["attributes"][:, 0].tolist() == (batch["images"][:, 0, 0, 0] // 10 % 2).tolist()


def test_the_loader_goes_on_where_training_stopped(words: Words) -> None:
    whole = list(set_up(words).train_dataloader())
    rest = list(set_up(words, images_seen=8).train_dataloader())
    assert len(rest) == 4
    for batch, expected in zip(rest, whole[2:], strict=True):
        assert torch.equal(batch["images"], expected["images"])
        assert torch.equal(batch["conditions"], expected["conditions"])


def test_two_processes_share_each_batch(words: Words) -> None:
    whole = set_up(words).train_dataloader()
    shares = [set_up(words, world_size=2, rank=rank).train_dataloader() for rank in range(2)]
    for all_of_it, *parts in zip(whole, *shares, strict=True):
        together = torch.cat([part["images"][:, 0, 0, 0] for part in parts])
        assert len(parts[0]["images"]) == len(parts[1]["images"])
        assert sorted(together.tolist()) == sorted(all_of_it["images"][:, 0, 0, 0].tolist())


# --- faces without conditions -----------------------------------------------------------------------------------------


def test_faces_without_captions_are_unlabelled(words: Words) -> None:
    faces = ConditionedFaces(make_faces(captions=PARTLY), words, mirror=False)
    assert faces.labelled.tolist() == [False, True, False, True]
    assert ConditionedFaces(make_faces(), words, mirror=False).labelled.all()


def test_unlabelled_faces_are_given_the_conditions_of_others_all_equally_likely(words: Words) -> None:
    numbers = ((np.arange(100) + 0.5) / 100).tolist()
    faces = ConditionedFaces(make_faces(captions=PARTLY), words, mirror=False)
    batch = faces[draw([0] * 100, numbers, labelled=0)]
    assert batch["labelled"] == 0
    assert not batch["images"].any()
    captions = [caption for captions in PARTLY for caption in captions]
    counts = [int((batch["conditions"] == words([caption])).all(dim=1).sum()) for caption in captions]
    assert counts == [20] * 5


def test_the_labelled_of_a_mixed_batch_keep_their_own_words(words: Words) -> None:
    batch = ConditionedFaces(make_faces(captions=PARTLY), words, mirror=False)[
        draw([1, 3, 0, 2], [0.4, 0.99, 0.99, 0.0], labelled=2)
    ]
    assert batch["labelled"] == 2
    assert batch["images"][:, 0, 0, 0].tolist() == [10, 30, 0, 20]
    assert torch.equal(batch["conditions"], words(["uno", "tres", "tres", "one"]))


def test_the_loader_gives_every_labelled_picture_its_own_words(words: Words) -> None:
    faces = make_faces(captions=PARTLY)
    batches = list(set_up(words, faces=faces).train_dataloader())
    assert [batch["labelled"] for batch in batches] == [2, 2, 1, 1, 1, 1]
    for batch in batches:
        for image, tokens in list(zip(batch["images"], batch["conditions"], strict=True))[: batch["labelled"]]:
            assert (words(PARTLY[int(image[0, 0, 0]) // 10]) == tokens).all(dim=1).any()


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_a_senseless_share_is_refused(words: Words, share: float) -> None:
    schedule = GrowthSchedule([8], [4], [0], images=[8])
    with pytest.raises(UserError, match=rf"^labelled_share is {share}: it is a share above 0, at most 1"):
        FaceDataModule(Source(make_faces()), words, schedule, labelled_share=share, seed=0, workers=0)


# --- mirrored and turned ----------------------------------------------------------------------------------------------


def test_pictures_are_mirrored_left_to_right_where_the_number_is_below_a_half(words: Words) -> None:
    source = scribbled()
    faces = ConditionedFaces(source, Words.fit(source, 100, 3), mirror=True)
    images = faces[draw([0, 1, 2, 3], [0.0] * 4, [0.0, 0.5, 0.499, 0.99])]["images"].numpy()
    for face, mirrored in enumerate([True, False, True, False]):
        expected = source.images[face][:, :, ::-1] if mirrored else source.images[face]
        assert np.array_equal(images[face], expected)


def test_nothing_is_mirrored_unless_asked_for() -> None:
    source = scribbled()
    faces = ConditionedFaces(source, Words.fit(source, 100, 3), mirror=False)
    assert np.array_equal(faces[draw([0, 1, 2, 3], [0.0] * 4, [0.0] * 4)]["images"].numpy(), source.images)


def test_about_half_of_the_pictures_are_mirrored() -> None:
    source = scribbled(1)
    faces = ConditionedFaces(source, Words.fit(source, 100, 3), mirror=True)
    sampler = ImageClockSampler(np.ones(1, bool), 0.5, GrowthSchedule([8], [100], [0], images=[2000]), 0, 0, 0, 1)
    images = np.concatenate([faces[each]["images"].numpy() for each in sampler])
    mirrored = (images == source.images[0][:, :, ::-1]).all(axis=(1, 2, 3))
    assert (images[~mirrored] == source.images[0]).all()
    assert abs(mirrored.sum() - 1000) < 5 * np.sqrt(500)  # five standard deviations


def test_the_faces_themselves_are_left_as_they_are() -> None:
    source = scribbled()
    before = source.images.copy()
    ConditionedFaces(source, AttributeLabels(["Smiling"], rotations=True), mirror=True)[
        draw([0, 1, 2, 3], [0.1, 0.3, 0.6, 0.9], [0.0] * 4)
    ]
    assert np.array_equal(source.images, before)


@pytest.mark.parametrize(("choice", "turns"), [(0.1, 0), (0.3, 1), (0.6, 2), (0.9, 3)])
def test_a_row_that_tells_a_rotation_has_its_picture_turned_anticlockwise(choice: float, turns: int) -> None:
    source = scribbled()
    batch = ConditionedFaces(source, AttributeLabels(["Smiling"], rotations=True), mirror=False)[draw([2], [choice])]
    expected = np.stack([np.rot90(channel, turns) for channel in source.images[2]])
    assert np.array_equal(batch["images"][0].numpy(), expected)
    assert batch["conditions"][0].tolist() == [1.0, *(float(turn == turns) for turn in range(4))]


def test_a_turn_by_90_degrees_brings_the_right_side_to_the_top() -> None:
    """Anticlockwise, said without numpy's own word for it."""
    images = np.zeros((1, 3, 8, 8), np.uint8)
    images[0, :, :, 7] = 255  # the right edge
    source = Faces(images, [["a face"]], np.ones((1, 1), np.int8), ["Smiling"])
    labels = AttributeLabels(["Smiling"], rotations=True)
    batch = ConditionedFaces(source, labels, mirror=False)[draw([0], [0.25])]
    assert torch.equal(batch["conditions"], labels(["Smiling, 90 degrees"]))
    assert (batch["images"][0, :, 0] == 255).all()
    assert not batch["images"][0, :, 1:].any()


def test_a_mirrored_picture_is_turned_after_it_was_mirrored() -> None:
    source = scribbled()
    faces = ConditionedFaces(source, AttributeLabels(["Smiling"], rotations=True), mirror=True)
    image = faces[draw([1], [0.3], [0.0])]["images"][0].numpy()
    assert np.array_equal(image, np.rot90(source.images[1][:, :, ::-1], 1, axes=(1, 2)))


def test_all_rotations_are_equally_likely() -> None:
    numbers = ((np.arange(40) + 0.5) / 40).tolist()
    batch = ConditionedFaces(scribbled(), AttributeLabels(["Smiling"], rotations=True), mirror=False)[
        draw([1] * 40, numbers)
    ]
    assert batch["conditions"][:, 1:].sum(0).tolist() == [10] * 4


# --- what is wrong ----------------------------------------------------------------------------------------------------


def test_a_batch_that_cannot_be_shared_is_refused(words: Words) -> None:
    with pytest.raises(UserError, match=r"A batch of 2 of growth.batch_sizes cannot be shared evenly by 4 processes"):
        set_up(words, world_size=4).train_dataloader()


def test_growing_past_the_data_is_refused(words: Words) -> None:
    schedule = GrowthSchedule([4, 8, 16], [4, 4, 4], [0, 0, 0], images=[4, 4, 4])
    data = FaceDataModule(Source(make_faces(8)), words, schedule, labelled_share=0.5, seed=0, workers=0)
    with pytest.raises(UserError, match=r"kept at 8 pixels, but growth\.resolutions end at 16.*data\.resolution=16"):
        data.setup("fit")


def test_unlabelled_faces_are_refused_where_nothing_learns_from_them(words: Words) -> None:
    partly = Faces(make_faces().images, [*CAPTIONS[:3], []], make_faces().attributes, ["Smiling"])
    data = set_up(words, faces=partly)
    assert data.trainer is not None
    data.trainer.lightning_module.learns_unlabelled = False
    with pytest.raises(UserError, match=r"^1 of the 4 faces have no description.* labelled_share=1, or "):
        data.train_dataloader()
    data.labelled_share = 1.0
    seen = torch.cat([batch["images"][:, 0, 0, 0] for batch in data.train_dataloader()])
    assert set(seen.tolist()) == {0, 10, 20}


def test_batches_with_too_few_labelled_faces_are_refused_before_the_first_step(words: Words) -> None:
    partly = Faces(make_faces().images, [*CAPTIONS[:3], []], make_faces().attributes, ["Smiling"])
    data = set_up(words, faces=partly)
    assert data.trainer is not None
    data.trainer.lightning_module.least_labelled = 2
    with pytest.raises(UserError, match=r"A batch of 2 .* only 1 described face\(s\) a process, but 2 are needed"):
        data.train_dataloader()
