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
POSITIONS = ["above", "below"]
SENTENCES = [f"a {color} face that is bright {position}" for color in COLORS for position in POSITIONS]


def make_faces(seed: int, count: int = 192) -> Faces:
    """Noise images of one color with one bright half, and captions that describe both."""
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


def r_precision(images: Tensor, texts: Tensor, mismatched: Tensor) -> float:
    metric = RPrecision()
    metric.update(images, texts, mismatched)
    return float(metric.compute())


def test_new_images_retrieve_their_captions(matcher: TextImageMatcher) -> None:
    faces = make_faces(1, 120)
    kinds = torch.tensor([SENTENCES.index(captions[0]) for captions in faces.captions])
    texts = matcher.encode_captions(SENTENCES)
    others = torch.stack([torch.tensor([other for other in range(6) if other != kind]) for kind in kinds])
    embeddings = matcher.encode_images(torch.from_numpy(faces.images))
    assert r_precision(embeddings, texts[kinds], texts[others]) > 0.9
    # Mismatched captions are retrieved by chance (1/6).
    assert r_precision(embeddings, texts[kinds.roll(1)], texts[others.roll(1, 0)]) < 0.35


def test_embeddings_are_unit_vectors_for_any_batch_size(matcher: TextImageMatcher) -> None:
    images = torch.from_numpy(make_faces(1, 30).images)
    embeddings, texts = matcher.encode_images(images), matcher.encode_captions(SENTENCES)
    assert (embeddings.shape, texts.shape) == ((30, 128), (6, 128))
    for vectors in (embeddings, texts):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))
    torch.testing.assert_close(matcher.encode_images(images, batch_size=7), embeddings)
    torch.testing.assert_close(matcher.encode_captions(SENTENCES, batch_size=4), texts)
    assert matcher.encode_images(images.repeat_interleave(8, 2).repeat_interleave(8, 3)).shape == (30, 128)


def test_loss_of_uninformative_perfect_and_wrong_embeddings() -> None:
    class Fixed(DualEncoder):
        def encode_images(self, images: Tensor) -> Tensor:
            return images

        def encode_tokens(self, tokens: Tensor) -> Tensor:
            return tokens.float()

    encoder = Fixed(3)
    same = torch.ones(5, 8) / 8**0.5
    assert encoder.loss(same, same).item() == pytest.approx(np.log(5), rel=1e-5)
    assert encoder.loss(torch.eye(8)[:5], torch.eye(8)[:5]).item() == pytest.approx(0, abs=1e-4)
    with torch.no_grad():
        encoder.log_scale.fill_(50)  # the scale is clamped to 100
    crossed = torch.eye(8)[:5].roll(1, 0)
    assert encoder.loss(torch.eye(8)[:5], crossed).item() == pytest.approx(100, rel=1e-3)


def test_second_call_loads_the_cached_encoder(
    cache: Path, matcher: TextImageMatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = cache.iterdir()
    assert path.name.startswith("dual-encoder-") and path.suffix == ".safetensors"
    monkeypatch.setattr(dual_encoder, "train_encoder", refuse)
    loaded = matcher_of(make_faces(0), cache)
    assert not loaded.encoder.training
    images = torch.from_numpy(make_faces(1, 30).images)
    assert torch.equal(loaded.encode_images(images), matcher.encode_images(images))
    assert torch.equal(loaded.encode_captions(SENTENCES), matcher.encode_captions(SENTENCES))


def test_other_images_captions_or_version_invalidate_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dual_encoder, "EPOCHS", 1)
    faces = make_faces(0, 16)
    reworded = Faces(faces.images, [[f"{c[0]} there"] for c in faces.captions], faces.attributes, [])
    dimmer = Faces(faces.images // 2, faces.captions, faces.attributes, [])
    for other in (faces, reworded, dimmer, faces[:8]):
        matcher_of(other, tmp_path)
    monkeypatch.setattr(dual_encoder, "CACHE_VERSION", -1)
    matcher_of(faces, tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


def test_training_is_deterministic_and_keeps_the_global_random_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dual_encoder, "EPOCHS", 1)
    state = torch.get_rng_state()
    one, other = (matcher_of(make_faces(0, 16), tmp_path / name).encoder.state_dict() for name in ("one", "other"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.gpu
def test_cpu_loads_an_encoder_trained_on_a_gpu(tmp_path: Path) -> None:
    faces = make_faces(0)
    images = torch.from_numpy(make_faces(1, 30).images)
    gpu = matcher_of(faces, tmp_path, "cuda")
    assert gpu.device.type == "cuda"
    cpu = matcher_of(faces, tmp_path)
    assert cpu.device.type == "cpu"
    assert len(list(tmp_path.iterdir())) == 1
    torch.testing.assert_close(gpu.encode_images(images), cpu.encode_images(images), rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(gpu.encode_captions(SENTENCES), cpu.encode_captions(SENTENCES), rtol=1e-2, atol=1e-2)
