from types import SimpleNamespace

import numpy as np
import pytest
import torch

from t2f.data.datamodule import FaceDataModule, TokenizedFaces
from t2f.data.faces import Faces
from t2f.data.sampler import Draw
from t2f.errors import UserError
from t2f.growth import GrowthSchedule
from t2f.text.tokenizer import WordTokenizer

CAPTIONS = [["zero"], ["one", "uno", "eins"], ["two", "dos"], ["three", "tres", "drei", "trois"]]


def make_faces(resolution: int = 8) -> Faces:
    """Face i is a plain picture of brightness 10 * i."""
    images = np.broadcast_to(np.arange(0, 40, 10, dtype=np.uint8)[:, None, None, None], (4, 3, resolution, resolution))
    return Faces(images, CAPTIONS, np.zeros((4, 1), np.int8), ["Smiling"])


class Source:
    name = "plain"

    def __init__(self, faces: Faces) -> None:
        self.train = self.held_out = faces
        self.prepared = 0

    def prepare(self) -> None:
        self.prepared += 1


@pytest.fixture
def tokenizer() -> WordTokenizer:
    return WordTokenizer.train([caption for captions in CAPTIONS for caption in captions], 100, 3)


def draw(faces: list[int], caption: list[float]) -> Draw:
    return Draw(np.array(faces), np.array(caption))


def set_up(tokenizer: WordTokenizer, world_size: int = 1, rank: int = 0, images_seen: int = 0) -> FaceDataModule:
    schedule = GrowthSchedule([4, 8], [4, 2], [0, 0.5], images=[8, 8])
    data = FaceDataModule(Source(make_faces()), tokenizer, schedule, seed=0, workers=0)
    data.setup("fit")
    data.trainer = SimpleNamespace(
        world_size=world_size, global_rank=rank, lightning_module=SimpleNamespace(images_seen=images_seen)
    )
    return data


def test_images_come_in_the_order_drawn_with_repeats(tokenizer: WordTokenizer) -> None:
    batch = TokenizedFaces(make_faces(), tokenizer)[draw([3, 0, 2, 3, 1], [0.0] * 5)]
    assert batch["images"].dtype == torch.uint8
    assert batch["images"].shape == (5, 3, 8, 8)
    assert batch["images"][:, 2, 7, 0].tolist() == [30, 0, 20, 30, 10]
    assert torch.equal(batch["images"], batch["images"][:, :1, :1, :1].expand(5, 3, 8, 8))


@pytest.mark.parametrize(
    ("face", "caption", "words"),
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
def test_caption_number_picks_among_the_faces_own_captions(
    tokenizer: WordTokenizer, face: int, caption: float, words: str
) -> None:
    batch = TokenizedFaces(make_faces(), tokenizer)[draw([face], [caption])]
    assert torch.equal(batch["tokens"], tokenizer([words]))


def test_all_captions_are_equally_likely(tokenizer: WordTokenizer) -> None:
    numbers = ((np.arange(120) + 0.5) / 120).tolist()
    for face, captions in enumerate(CAPTIONS):
        tokens = TokenizedFaces(make_faces(), tokenizer)[draw([face] * 120, numbers)]["tokens"]
        counts = [int((tokens == tokenizer([words])).all(dim=1).sum()) for words in captions]
        assert counts == [120 // len(captions)] * len(captions)


def test_words_stay_with_their_picture_through_the_loader(tokenizer: WordTokenizer) -> None:
    batches = list(set_up(tokenizer).train_dataloader())
    assert [len(batch["images"]) for batch in batches] == [4, 4, 2, 2, 2, 2]
    for batch in batches:
        for image, tokens in zip(batch["images"], batch["tokens"], strict=True):
            own = tokenizer(CAPTIONS[int(image[0, 0, 0]) // 10])
            assert (own == tokens).all(dim=1).any()


def test_the_loader_goes_on_where_training_stopped(tokenizer: WordTokenizer) -> None:
    whole = list(set_up(tokenizer).train_dataloader())
    rest = list(set_up(tokenizer, images_seen=8).train_dataloader())
    assert len(rest) == 4
    for batch, expected in zip(rest, whole[2:], strict=True):
        assert torch.equal(batch["images"], expected["images"])
        assert torch.equal(batch["tokens"], expected["tokens"])


def test_two_processes_share_each_batch(tokenizer: WordTokenizer) -> None:
    whole = set_up(tokenizer).train_dataloader()
    shares = [set_up(tokenizer, world_size=2, rank=rank).train_dataloader() for rank in range(2)]
    for all_of_it, *parts in zip(whole, *shares, strict=True):
        together = torch.cat([part["images"][:, 0, 0, 0] for part in parts])
        assert len(parts[0]["images"]) == len(parts[1]["images"])
        assert sorted(together.tolist()) == sorted(all_of_it["images"][:, 0, 0, 0].tolist())


def test_a_batch_that_cannot_be_shared_is_refused(tokenizer: WordTokenizer) -> None:
    with pytest.raises(UserError, match=r"A batch of 2 of growth.batch_sizes cannot be shared evenly by 4 processes"):
        set_up(tokenizer, world_size=4).train_dataloader()


def test_growing_past_the_data_is_refused(tokenizer: WordTokenizer) -> None:
    schedule = GrowthSchedule([4, 8, 16], [4, 4, 4], [0, 0, 0], images=[4, 4, 4])
    data = FaceDataModule(Source(make_faces(8)), tokenizer, schedule, seed=0, workers=0)
    with pytest.raises(UserError, match=r"kept at 8 pixels, but growth\.resolutions end at 16.*data\.resolution=16"):
        data.setup("fit")


def test_preparing_is_left_to_the_source(tokenizer: WordTokenizer) -> None:
    data = set_up(tokenizer)
    data.prepare_data()
    assert isinstance(data.source, Source)
    assert data.source.prepared == 1
