from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from t2f.data.faces import Faces
from t2f.metrics import attribute_classifier
from t2f.metrics.attribute_classifier import AttributeClassifier, cached_classifier, fit_logistic, train_classifier

CPU = torch.device("cpu")


def make_faces(seed: int, count: int = 512) -> Faces:
    """Noise whose redness and whose bright upper half can be seen; some of the attributes cannot be told."""
    rng = np.random.default_rng(seed)
    attributes = rng.integers(0, 2, (count, 2))
    images = rng.integers(60, 120, (count, 3, 8, 8))
    images[:, 0] += 100 * attributes[:, 0, None, None]
    images[:, 1:, :4] += 100 * attributes[:, 1, None, None, None]
    told = np.where(rng.random((count, 2)) < 0.2, -1, attributes)
    return Faces(images.astype(np.uint8), [["a face"]] * count, told.astype(np.int8), ["Red", "Bright"])


@pytest.fixture(scope="module")
def classifier() -> AttributeClassifier:
    return train_classifier(make_faces(0), CPU)


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("trained again")


def test_reads_what_can_be_seen_on_new_faces(classifier: AttributeClassifier) -> None:
    faces = make_faces(1, 200)
    read = classifier.read(torch.from_numpy(faces.images)).numpy()
    assert read.shape == (200, 2)
    assert read.dtype == bool
    told = faces.attributes >= 0
    for attribute in range(2):
        rows = told[:, attribute]
        assert (read[rows, attribute] == faces.attributes[rows, attribute]).mean() > 0.95


def test_reading_in_parts_changes_nothing(classifier: AttributeClassifier) -> None:
    images = torch.from_numpy(make_faces(1, 50).images)
    assert torch.equal(classifier.read(images, batch_size=7), classifier.read(images, batch_size=50))


def test_a_reader_still_in_training_reads_the_same(classifier: AttributeClassifier) -> None:
    images = torch.from_numpy(make_faces(1, 50).images)
    expected = classifier.read(images)
    assert torch.equal(classifier.train().read(images), expected)


def test_training_and_reading_the_cache_leave_the_global_random_state_alone(tmp_path: Path) -> None:
    faces = make_faces(0, 32)
    state = torch.get_rng_state()
    for _ in range(2):
        cached_classifier(faces, tmp_path, CPU)
    assert torch.equal(torch.get_rng_state(), state)


def test_training_twice_gives_the_same_reader() -> None:
    faces = make_faces(0, 32)
    one, other = train_classifier(faces, CPU).state_dict(), train_classifier(faces, CPU).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_cannot_be_told_teaches_nothing() -> None:
    faces = make_faces(0, 32)
    nothing = replace(faces, attributes=np.full_like(faces.attributes, -1))
    assert not train_classifier(nothing, CPU).head.weight.any()


def test_a_rare_attribute_is_found_as_often_as_it_is_denied() -> None:
    """Of features that overlap, the boundary is half way between the two classes, and not drawn to the rarer."""
    generator = torch.Generator().manual_seed(0)
    attributes = (torch.arange(4000) % 20 == 0).to(torch.int8)[:, None]
    features = torch.randn(4000, 1, generator=generator) + 10 + 2 * attributes
    weight, bias = fit_logistic(features, attributes)
    assert (-bias / weight).item() == pytest.approx(11, abs=0.15)


def test_an_attribute_that_all_have_is_read_off_all() -> None:
    faces = make_faces(0, 32)
    everybody = replace(faces, attributes=np.ones_like(faces.attributes))
    assert train_classifier(everybody, CPU).read(torch.from_numpy(faces.images)).all()


def test_images_of_any_size_are_read(classifier: AttributeClassifier) -> None:
    faces = make_faces(1, 100)
    images = torch.from_numpy(faces.images)
    large = images.repeat_interleave(16, 2).repeat_interleave(16, 3)
    assert (classifier.read(large) == classifier.read(images)).float().mean() > 0.95


@pytest.mark.gpu
def test_a_gpu_fits_what_a_cpu_does_and_each_loads_the_others(tmp_path: Path) -> None:
    faces = make_faces(0, 128)
    images, gpu = torch.from_numpy(make_faces(1, 200).images), torch.device("cuda")
    fitted = train_classifier(faces, gpu)
    assert fitted.device.type == "cuda"
    read = fitted.read(images)
    assert (read == train_classifier(faces, CPU).read(images)).float().mean() > 0.98
    assert cached_classifier(faces, tmp_path, gpu).device.type == "cuda"
    there = cached_classifier(faces, tmp_path, CPU)
    assert len(list(tmp_path.iterdir())) == 1
    assert (there.read(images) == read).float().mean() > 0.98


def test_the_second_call_reads_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = make_faces(0, 64)
    images = torch.from_numpy(make_faces(1, 50).images)
    first = cached_classifier(faces, tmp_path, CPU)
    (path,) = tmp_path.iterdir()
    assert path.suffix == ".safetensors"
    monkeypatch.setattr(attribute_classifier, "train_classifier", refuse)
    second = cached_classifier(faces, tmp_path, CPU)
    assert not second.training
    assert all(torch.equal(first.state_dict()[name], value) for name, value in second.state_dict().items())
    assert torch.equal(second.read(images), first.read(images))


def test_other_faces_get_a_reader_of_their_own(tmp_path: Path) -> None:
    faces = make_faces(0, 32)
    cached_classifier(faces, tmp_path, CPU)
    cached_classifier(make_faces(1, 32), tmp_path, CPU)
    cached_classifier(faces[:16], tmp_path, CPU)
    cached_classifier(replace(faces, attribute_names=["Red", "Shiny"]), tmp_path, CPU)
    assert len(list(tmp_path.iterdir())) == 4
