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
def conditioner() -> TokenConditioner:
    return TokenConditioner.fit(make_faces(), vocabulary=100, max_tokens=3)


class Source:
    name = "plain"
    mirror = False

    def __init__(self, faces: Faces) -> None:
        self.train = self.held_out = faces

    def prepare(self) -> None: ...


def make_datamodule(
    conditioner: TokenConditioner, schedule: GrowthSchedule, faces: Faces | None = None, **settings: Any
) -> FaceDataModule:
    arguments = {"workers": 0, "faces_on_device": False} | settings
    return FaceDataModule(Source(faces or make_faces()), conditioner, schedule, **arguments)


def set_up(
    conditioner: TokenConditioner,
    world_size: int = 1,
    rank: int = 0,
    images_seen: int = 0,
    faces: Faces | None = None,
    device: str = "cpu",
    **settings: Any,
) -> FaceDataModule:
    datamodule = make_datamodule(
        conditioner, GrowthSchedule([4, 8], [4, 2], [0, 0.5], images=[8, 8]), faces, **settings
    )
    trainer: Any = SimpleNamespace(
        world_size=world_size,
        global_rank=rank,
        strategy=SimpleNamespace(root_device=torch.device(device)),
        lightning_module=SimpleNamespace(images_seen=images_seen, min_labeled=1, uses_unlabeled=True),
    )
    datamodule.trainer = trainer
    datamodule.setup("fit")
    return datamodule


def test_batches_pair_images_with_their_captions(conditioner: TokenConditioner) -> None:
    batches = list(set_up(conditioner).train_dataloader())
    assert [len(batch["images"]) for batch in batches] == [4, 4, 2, 2, 2, 2]
    for batch in batches:
        assert batch["labeled"].all()
        for image, tokens in zip(batch["images"], batch["conditions"], strict=True):
            own = conditioner(CAPTIONS[int(image[0, 0, 0]) // 10])
            assert (own == tokens).all(dim=1).any()
        assert batch["attributes"].dtype == torch.int8
        assert batch["attributes"][:, 0].tolist() == (batch["images"][:, 0, 0, 0] // 10 % 2).tolist()


def test_the_loader_resumes_at_images_seen(conditioner: TokenConditioner) -> None:
    whole = list(set_up(conditioner).train_dataloader())
    rest = list(set_up(conditioner, images_seen=8).train_dataloader())
    assert len(rest) == 4
    for batch, expected in zip(rest, whole[2:], strict=True):
        assert torch.equal(batch["images"], expected["images"])
        assert torch.equal(batch["conditions"], expected["conditions"])


def test_overfit_repeats_the_first_batch(conditioner: TokenConditioner) -> None:
    first, *others = set_up(conditioner, overfit=True).train_dataloader()
    assert len(others) == 5
    for batch in others:
        assert torch.equal(batch["images"], first["images"][: len(batch["images"])])
        assert torch.equal(batch["conditions"], first["conditions"][: len(batch["images"])])


def test_two_processes_shard_each_batch(conditioner: TokenConditioner) -> None:
    whole = set_up(conditioner).train_dataloader()
    shards = [set_up(conditioner, world_size=2, rank=rank).train_dataloader() for rank in range(2)]
    for batch, *parts in zip(whole, *shards, strict=True):
        gathered = torch.cat([part["images"][:, 0, 0, 0] for part in parts])
        assert len(parts[0]["images"]) == len(parts[1]["images"])
        assert sorted(gathered.tolist()) == sorted(batch["images"][:, 0, 0, 0].tolist())


def test_labeled_images_have_their_own_captions(conditioner: TokenConditioner) -> None:
    faces = make_faces(captions=PARTLY)
    batches = list(set_up(conditioner, faces=faces).train_dataloader())
    assert [int(batch["labeled"].sum()) for batch in batches] == [2, 2, 1, 1, 1, 1]
    for batch in batches:
        for image, tokens in list(zip(batch["images"], batch["conditions"], strict=True))[: batch["labeled"].sum()]:
            assert (conditioner(PARTLY[int(image[0, 0, 0]) // 10]) == tokens).all(dim=1).any()


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.5])
def test_labeled_fraction_must_be_a_fraction(conditioner: TokenConditioner, fraction: float) -> None:
    schedule = GrowthSchedule([8], [4], [0], images=[8])
    with pytest.raises(ValueError, match=rf"^labeled_fraction is {fraction}: it must be above 0 and at most 1"):
        make_datamodule(conditioner, schedule, labeled_fraction=fraction)


def test_batch_sizes_must_be_multiples_of_the_number_of_processes(conditioner: TokenConditioner) -> None:
    with pytest.raises(UserError, match=r"growth\.batch_sizes has 2, which is not a multiple of the 4 processes"):
        set_up(conditioner, world_size=4).train_dataloader()


def test_growth_beyond_the_resolution_of_the_data_is_an_error(conditioner: TokenConditioner) -> None:
    schedule = GrowthSchedule([4, 8, 16], [4, 4, 4], [0, 0, 0], images=[4, 4, 4])
    datamodule = make_datamodule(conditioner, schedule, make_faces(8))
    with pytest.raises(UserError, match=r"has 8 pixels, but growth\.resolutions ends at 16.*data\.resolution=16"):
        datamodule.setup("fit")


def test_unlabeled_faces_need_an_unconditional_loss(conditioner: TokenConditioner) -> None:
    partly = Faces(make_faces().images, [*CAPTIONS[:3], []], make_faces().attributes, ["Smiling"])
    datamodule = set_up(conditioner, faces=partly)
    assert datamodule.trainer is not None
    datamodule.trainer.lightning_module.uses_unlabeled = False
    with pytest.raises(UserError, match=r"^1 of the 4 faces have no description.* labeled_fraction=1, or "):
        datamodule.train_dataloader()
    datamodule.labeled_fraction = 1.0
    seen = torch.cat([batch["images"][:, 0, 0, 0] for batch in datamodule.train_dataloader()])
    assert set(seen.tolist()) == {0, 10, 20}


def test_batches_with_too_few_labeled_faces_are_an_error(conditioner: TokenConditioner) -> None:
    partly = Faces(make_faces().images, [*CAPTIONS[:3], []], make_faces().attributes, ["Smiling"])
    datamodule = set_up(conditioner, faces=partly)
    assert datamodule.trainer is not None
    datamodule.trainer.lightning_module.min_labeled = 2
    with pytest.raises(UserError, match=r"A batch of 2 .* only 1 labeled face\(s\) per process, but .* need 2"):
        datamodule.train_dataloader()


# --- faces_on_device and workers --------------------------------------------------------------------------------------


def test_batches_do_not_depend_on_device_and_workers(conditioner: TokenConditioner) -> None:
    mapped, on_device, from_worker = (
        list(set_up(conditioner, **settings).train_dataloader())
        for settings in ({}, {"faces_on_device": True}, {"workers": 1})
    )
    for batch, *others in zip(mapped, on_device, from_worker, strict=True):
        for other in others:
            assert torch.equal(batch["labeled"], other["labeled"])
            for name in ("images", "conditions", "attributes"):
                assert torch.equal(batch[name], other[name])  # type: ignore[literal-required]  # three of its keys


@pytest.mark.parametrize(
    ("device", "fits", "settings", "on_device", "workers", "pinned"),
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
def test_auto_holds_faces_on_a_gpu_or_else_uses_workers(
    device: str,
    fits: bool,
    settings: dict[str, Any],
    on_device: bool,
    workers: int,
    pinned: bool,
    conditioner: TokenConditioner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    devices: list[torch.device] = []
    load_to = ConditionedFaces.load_to

    def load_to_cpu(faces: ConditionedFaces, device: torch.device) -> None:
        """Record the device, which this machine may lack."""
        devices.append(device)
        load_to(faces, torch.device("cpu"))

    monkeypatch.setattr(ConditionedFaces, "load_to", load_to_cpu)
    monkeypatch.setattr(ConditionedFaces, "fits", lambda faces, device: fits)
    datamodule = set_up(conditioner, device=device, **{"workers": "auto", "faces_on_device": "auto"} | settings)
    loader = datamodule.train_dataloader()
    assert devices == ([torch.device(device)] if on_device else [])
    assert (loader.num_workers, loader.pin_memory) == (workers, pinned)


def test_teardown_frees_the_copies_on_the_device(conditioner: TokenConditioner) -> None:
    datamodule = set_up(conditioner, faces_on_device=True)
    before = next(iter(datamodule.train_dataloader()))
    datamodule.teardown("fit")
    assert datamodule.faces.images_on_device is None
    assert torch.equal(next(iter(datamodule.train_dataloader()))["images"], before["images"])


def test_auto_uses_no_workers_if_each_would_copy_all_faces(
    conditioner: TokenConditioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datamodule, "FORKS", False)
    monkeypatch.setattr(ConditionedFaces, "fits", lambda faces, device: False)
    loader = set_up(conditioner, device="cuda", workers="auto", faces_on_device="auto").train_dataloader()
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
            r"^workers must be auto or 0 with faces_on_device=true, but is 2\.$",
        ),
    ],
)
def test_errors_name_the_argument(settings: dict[str, Any], message: str, conditioner: TokenConditioner) -> None:
    with pytest.raises(ValueError, match=message):
        set_up(conditioner, **settings)
