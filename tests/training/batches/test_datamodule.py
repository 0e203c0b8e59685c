from types import SimpleNamespace
from typing import Any

import pytest
import torch
from training.batches.test_dataset import CAPTIONS, PARTLY, make_faces

from t2f.conditioning.sentences import TokenConditioner
from t2f.data.faces import Faces
from t2f.training.batches import datamodule
from t2f.training.batches.datamodule import FaceDataModule
from t2f.training.batches.dataset import ConditionedFaces
from t2f.training.growth_schedule import GrowthSchedule
from t2f.utils.errors import UserError


@pytest.fixture
def words() -> TokenConditioner:
    return TokenConditioner.fit(make_faces(), vocabulary=100, max_tokens=3)


class Source:
    name = "plain"
    mirror = False

    def __init__(self, faces: Faces) -> None:
        self.train = self.held_out = faces

    def prepare(self) -> None: ...


def data_of(
    words: TokenConditioner, schedule: GrowthSchedule, faces: Faces | None = None, **settings: Any
) -> FaceDataModule:
    given = {"labeled_fraction": 0.5, "seed": 0, "workers": 0, "faces_on_device": False} | settings
    return FaceDataModule(Source(faces or make_faces()), words, schedule, **given)


def set_up(
    words: TokenConditioner,
    world_size: int = 1,
    rank: int = 0,
    images_seen: int = 0,
    faces: Faces | None = None,
    device: str = "cpu",
    **settings: Any,
) -> FaceDataModule:
    data = data_of(words, GrowthSchedule([4, 8], [4, 2], [0, 0.5], images=[8, 8]), faces, **settings)
    trainer: Any = SimpleNamespace(
        world_size=world_size,
        global_rank=rank,
        strategy=SimpleNamespace(root_device=torch.device(device)),
        lightning_module=SimpleNamespace(images_seen=images_seen, min_labeled=1, uses_unlabeled=True),
    )
    data.trainer = trainer
    data.setup("fit")
    return data


def test_words_stay_with_their_picture_through_the_loader(words: TokenConditioner) -> None:
    batches = list(set_up(words).train_dataloader())
    assert [len(batch["images"]) for batch in batches] == [4, 4, 2, 2, 2, 2]
    for batch in batches:
        assert batch["labeled"].all()
        for image, tokens in zip(batch["images"], batch["conditions"], strict=True):
            own = words(CAPTIONS[int(image[0, 0, 0]) // 10])
            assert (own == tokens).all(dim=1).any()
        assert batch["attributes"].dtype == torch.int8
        assert batch["attributes"][:, 0].tolist() == (batch["images"][:, 0, 0, 0] // 10 % 2).tolist()


def test_the_loader_goes_on_where_training_stopped(words: TokenConditioner) -> None:
    whole = list(set_up(words).train_dataloader())
    rest = list(set_up(words, images_seen=8).train_dataloader())
    assert len(rest) == 4
    for batch, expected in zip(rest, whole[2:], strict=True):
        assert torch.equal(batch["images"], expected["images"])
        assert torch.equal(batch["conditions"], expected["conditions"])


def test_two_processes_share_each_batch(words: TokenConditioner) -> None:
    whole = set_up(words).train_dataloader()
    shares = [set_up(words, world_size=2, rank=rank).train_dataloader() for rank in range(2)]
    for all_of_it, *parts in zip(whole, *shares, strict=True):
        together = torch.cat([part["images"][:, 0, 0, 0] for part in parts])
        assert len(parts[0]["images"]) == len(parts[1]["images"])
        assert sorted(together.tolist()) == sorted(all_of_it["images"][:, 0, 0, 0].tolist())


def test_the_loader_gives_every_labelled_picture_its_own_words(words: TokenConditioner) -> None:
    faces = make_faces(captions=PARTLY)
    batches = list(set_up(words, faces=faces).train_dataloader())
    assert [int(batch["labeled"].sum()) for batch in batches] == [2, 2, 1, 1, 1, 1]
    for batch in batches:
        for image, tokens in list(zip(batch["images"], batch["conditions"], strict=True))[: batch["labeled"].sum()]:
            assert (words(PARTLY[int(image[0, 0, 0]) // 10]) == tokens).all(dim=1).any()


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_a_senseless_share_is_refused(words: TokenConditioner, share: float) -> None:
    schedule = GrowthSchedule([8], [4], [0], images=[8])
    with pytest.raises(UserError, match=rf"^labeled_fraction is {share}: it is a share above 0, at most 1"):
        data_of(words, schedule, labeled_fraction=share)


def test_a_batch_that_cannot_be_shared_is_refused(words: TokenConditioner) -> None:
    with pytest.raises(UserError, match=r"A batch of 2 of growth.batch_sizes cannot be shared evenly by 4 processes"):
        set_up(words, world_size=4).train_dataloader()


def test_growing_past_the_data_is_refused(words: TokenConditioner) -> None:
    schedule = GrowthSchedule([4, 8, 16], [4, 4, 4], [0, 0, 0], images=[4, 4, 4])
    data = data_of(words, schedule, make_faces(8))
    with pytest.raises(UserError, match=r"kept at 8 pixels, but growth\.resolutions end at 16.*data\.resolution=16"):
        data.setup("fit")


def test_unlabelled_faces_are_refused_where_nothing_learns_from_them(words: TokenConditioner) -> None:
    partly = Faces(make_faces().images, [*CAPTIONS[:3], []], make_faces().attributes, ["Smiling"])
    data = set_up(words, faces=partly)
    assert data.trainer is not None
    data.trainer.lightning_module.uses_unlabeled = False
    with pytest.raises(UserError, match=r"^1 of the 4 faces have no description.* labeled_fraction=1, or "):
        data.train_dataloader()
    data.labeled_fraction = 1.0
    seen = torch.cat([batch["images"][:, 0, 0, 0] for batch in data.train_dataloader()])
    assert set(seen.tolist()) == {0, 10, 20}


def test_batches_with_too_few_labelled_faces_are_refused_before_the_first_step(words: TokenConditioner) -> None:
    partly = Faces(make_faces().images, [*CAPTIONS[:3], []], make_faces().attributes, ["Smiling"])
    data = set_up(words, faces=partly)
    assert data.trainer is not None
    data.trainer.lightning_module.min_labeled = 2
    with pytest.raises(UserError, match=r"A batch of 2 .* only 1 described face\(s\) a process, but 2 are needed"):
        data.train_dataloader()


# --- where faces are kept ---------------------------------------------------------------------------------------------


def test_batches_are_the_same_from_faces_kept_and_faces_made_ahead(words: TokenConditioner) -> None:
    mapped, kept, ahead = (
        list(set_up(words, **settings).train_dataloader())
        for settings in ({}, {"faces_on_device": True}, {"workers": 1})
    )
    for batch, *others in zip(mapped, kept, ahead, strict=True):
        for other in others:
            assert torch.equal(batch["labeled"], other["labeled"])
            for name in ("images", "conditions", "attributes"):
                assert torch.equal(batch[name], other[name])  # type: ignore[literal-required]  # three of its keys


@pytest.mark.parametrize(
    ("device", "has_room", "settings", "kept", "workers", "pinned"),
    [
        ("cuda", True, {}, True, 0, False),
        ("cuda", False, {}, False, 2, True),
        ("cuda", True, {"faces_on_device": False}, False, 2, True),
        ("cuda", False, {"faces_on_device": True}, True, 0, False),
        ("cuda", True, {"workers": 0}, True, 0, False),
        ("cuda", False, {"workers": 0}, False, 0, True),
        ("cuda", True, {"workers": 1}, False, 1, True),
        ("cpu", False, {}, False, 0, False),
        ("cpu", False, {"workers": 1}, False, 1, False),
        ("mps", False, {}, False, 0, False),
    ],
)
def test_faces_are_kept_where_there_is_room_or_else_made_ahead_of_a_gpu(
    device: str,
    has_room: bool,
    settings: dict[str, Any],
    kept: bool,
    workers: int,
    pinned: bool,
    words: TokenConditioner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[torch.device] = []
    keep_on = ConditionedFaces.keep_on

    def keep_on_this_machine(faces: ConditionedFaces, device: torch.device) -> None:
        """It may lack the GPU."""
        asked.append(device)
        keep_on(faces, torch.device("cpu"))

    monkeypatch.setattr(ConditionedFaces, "keep_on", keep_on_this_machine)
    monkeypatch.setattr(ConditionedFaces, "fits", lambda faces, device: has_room)
    data = set_up(words, device=device, **{"workers": "auto", "faces_on_device": "auto"} | settings)
    loader = data.train_dataloader()
    assert asked == ([torch.device(device)] if kept else [])
    assert (loader.num_workers, loader.pin_memory) == (workers, pinned)


def test_copies_are_given_up_after_the_training(words: TokenConditioner) -> None:
    data = set_up(words, faces_on_device=True)
    before = next(iter(data.train_dataloader()))
    data.teardown("fit")
    assert data.faces.kept is None
    assert torch.equal(next(iter(data.train_dataloader()))["images"], before["images"])


def test_auto_makes_no_batches_ahead_where_each_process_would_hold_all_faces(
    words: TokenConditioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datamodule, "FORKS", False)
    monkeypatch.setattr(ConditionedFaces, "fits", lambda faces, device: False)
    loader = set_up(words, device="cuda", workers="auto", faces_on_device="auto").train_dataloader()
    assert loader.num_workers == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workers": "two"}, r"^workers is two: it must be auto, or a number of processes, 0 for none\.$"),
        ({"workers": -1}, r"^workers is -1: "),
        ({"workers": True}, r"^workers is True: "),
        ({"faces_on_device": "gpu"}, r"^faces_on_device is gpu: it must be true, false or auto\.$"),
        (
            {"workers": 2, "faces_on_device": True},
            r"^workers is 2, but loader.faces_on_device=true leaves nothing to read ahead: ",
        ),
    ],
)
def test_senseless_places_are_refused(settings: dict[str, Any], message: str, words: TokenConditioner) -> None:
    with pytest.raises(UserError, match=message):
        set_up(words, **settings)
