from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from t2f.conditioning.sentences import TokenConditioner
from t2f.data.faces import Faces
from t2f.metrics import dual_encoder
from t2f.metrics.dual_encoder import DualEncoder, TextImageMatcher, cached_matcher
from t2f.metrics.retrieval import RPrecision

COLORS = ["red", "green", "blue"]
PLACES = ["above", "below"]
SENTENCES = [f"a {color} face that is bright {place}" for color in COLORS for place in PLACES]


def make_faces(seed: int, count: int = 192) -> Faces:
    """Noise of a colour and with a bright half, and a sentence that says which."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 6, count)
    images = rng.integers(40, 100, (count, 3, 8, 8))
    images[np.arange(count), kinds // 2] += 80
    for image, kind in zip(images, kinds, strict=True):
        image[:, 4 * (kind % 2) : 4 * (kind % 2) + 4] += 70
    captions = [[SENTENCES[kind]] for kind in kinds]
    return Faces(images.astype(np.uint8), captions, np.zeros((count, 0), np.int8), [])


def matcher_of(faces: Faces, cache: Path, device: str = "cpu") -> TextImageMatcher:
    return cached_matcher(faces, TokenConditioner.fit(faces, vocabulary=50, max_tokens=12), cache, torch.device(device))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encoders")


@pytest.fixture(scope="module")
def matcher(cache: Path) -> TextImageMatcher:
    return matcher_of(make_faces(0), cache)


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("trained again")


def r_precision(faces: Tensor, own: Tensor, others: Tensor) -> float:
    metric = RPrecision()
    metric.update(faces, own, others)
    return float(metric.compute())


def test_new_faces_find_their_words(matcher: TextImageMatcher) -> None:
    faces = make_faces(1, 120)
    kinds = torch.tensor([SENTENCES.index(captions[0]) for captions in faces.captions])
    words = matcher.of_captions(SENTENCES)
    others = torch.stack([torch.tensor([other for other in range(6) if other != kind]) for kind in kinds])
    seen = matcher.of_images(torch.from_numpy(faces.images))
    assert r_precision(seen, words[kinds], words[others]) > 0.9
    # Words of other faces are found about as often as chance has it, which is one in six.
    assert r_precision(seen, words[kinds.roll(1)], words[others.roll(1, 0)]) < 0.35


def test_vectors_are_of_length_one_whatever_they_are_read_with(matcher: TextImageMatcher) -> None:
    images = torch.from_numpy(make_faces(1, 30).images)
    seen, words = matcher.of_images(images), matcher.of_captions(SENTENCES)
    assert (seen.shape, words.shape) == ((30, 128), (6, 128))
    for vectors in (seen, words):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))
    torch.testing.assert_close(matcher.of_images(images, batch_size=7), seen)
    torch.testing.assert_close(matcher.of_captions(SENTENCES, batch_size=4), words)
    assert matcher.of_images(images.repeat_interleave(8, 2).repeat_interleave(8, 3)).shape == (30, 128)


def test_the_loss_is_that_of_guessing_where_nothing_is_told_and_falls_to_nothing_where_all_is() -> None:
    class Fixed(DualEncoder):
        def of_images(self, images: Tensor) -> Tensor:
            return images

        def of_tokens(self, tokens: Tensor) -> Tensor:
            return tokens.float()

    encoder = Fixed(3)
    same = torch.ones(5, 8) / 8**0.5
    assert encoder.loss(same, same).item() == pytest.approx(np.log(5), rel=1e-5)
    assert encoder.loss(torch.eye(8)[:5], torch.eye(8)[:5]).item() == pytest.approx(0, abs=1e-4)
    with torch.no_grad():
        encoder.log_scale.fill_(50)  # it is held below 100
    crossed = torch.eye(8)[:5].roll(1, 0)
    assert encoder.loss(torch.eye(8)[:5], crossed).item() == pytest.approx(100, rel=1e-3)


def test_the_second_call_reads_the_cache(
    cache: Path, matcher: TextImageMatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = cache.iterdir()
    assert path.name.startswith("dual-encoder-") and path.suffix == ".safetensors"
    monkeypatch.setattr(dual_encoder, "train_encoder", refuse)
    again = matcher_of(make_faces(0), cache)
    assert not again.encoder.training
    images = torch.from_numpy(make_faces(1, 30).images)
    assert torch.equal(again.of_images(images), matcher.of_images(images))
    assert torch.equal(again.of_captions(SENTENCES), matcher.of_captions(SENTENCES))


def test_other_faces_other_words_or_another_recipe_are_learnt_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dual_encoder, "EPOCHS", 1)
    faces = make_faces(0, 16)
    reworded = Faces(faces.images, [[f"{c[0]} there"] for c in faces.captions], faces.attributes, [])
    dimmer = Faces(faces.images // 2, faces.captions, faces.attributes, [])
    for other in (faces, reworded, dimmer, faces[:8]):
        matcher_of(other, tmp_path)
    monkeypatch.setattr(dual_encoder, "RECIPE", -1)
    matcher_of(faces, tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


def test_learning_is_repeated_and_leaves_the_global_random_state_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dual_encoder, "EPOCHS", 1)
    state = torch.get_rng_state()
    one, other = (matcher_of(make_faces(0, 16), tmp_path / name).encoder.state_dict() for name in ("one", "other"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.gpu
def test_a_gpu_trains_where_it_is_and_a_cpu_loads_what_it_has_learnt(tmp_path: Path) -> None:
    faces = make_faces(0)
    images = torch.from_numpy(make_faces(1, 30).images)
    there = matcher_of(faces, tmp_path, "cuda")
    assert there.device.type == "cuda"
    here = matcher_of(faces, tmp_path)
    assert here.device.type == "cpu"
    assert len(list(tmp_path.iterdir())) == 1
    torch.testing.assert_close(there.of_images(images), here.of_images(images), rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(there.of_captions(SENTENCES), here.of_captions(SENTENCES), rtol=1e-2, atol=1e-2)
