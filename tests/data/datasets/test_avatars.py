import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from t2f.data.captions.generate import CACHE_VERSION, generate_caption
from t2f.data.datasets.avatars import ATTRIBUTES, HAIR, HATS, Avatars, caption, render, sample_face, visible_attributes
from t2f.data.faces import fingerprint

FACES = [sample_face(random.Random(i)) for i in range(4000)]
NOUNS = {"woman": {"woman", "lady", "female", "she"}, "man": {"man", "guy", "gentleman", "male", "he"}}
HIDDEN_HAIR = ("Bald", "Long_Hair", "Wavy_Hair", "Straight_Hair")


def small(cache: Path, **settings: Any) -> Avatars:
    return Avatars(str(cache), **{"count": 60, "held_out": 10, "resolution": 8, "workers": 1} | settings)


@pytest.fixture(scope="module")
def avatars(tmp_path_factory: pytest.TempPathFactory) -> Avatars:
    avatars = small(tmp_path_factory.mktemp("one"))
    avatars.prepare()
    return avatars


def test_the_cache_does_not_depend_on_the_number_of_workers(avatars: Avatars, tmp_path: Path) -> None:
    two = small(tmp_path, workers=2)
    two.prepare()
    assert two.folder.name == avatars.folder.name
    names = sorted(path.name for path in two.folder.iterdir())
    assert names == ["about.json", "attributes.npy", "captions.json", "images.npy"]
    for name in names:
        assert (two.folder / name).read_bytes() == (avatars.folder / name).read_bytes()


def test_shapes_and_dtypes(avatars: Avatars) -> None:
    faces = avatars.faces
    assert faces.images.shape == (70, 3, 8, 8)
    assert faces.images.dtype == np.uint8
    assert faces.attributes.shape == (70, 18)
    assert faces.attributes.dtype == np.int8
    assert tuple(faces.attribute_names) == ATTRIBUTES
    assert [len(captions) for captions in faces.captions] == [4] * 70
    assert len(np.unique(faces.images.reshape(70, -1), axis=0)) == 70


def test_training_faces_precede_held_out_faces(avatars: Avatars) -> None:
    faces = avatars.faces
    assert np.array_equal(avatars.train.images, faces.images[:60])
    assert np.array_equal(avatars.held_out.images, faces.images[60:])
    assert list(avatars.held_out.captions) == faces.captions[60:]


def test_an_existing_cache_is_not_rendered_again(avatars: Avatars, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("t2f.data.datasets.avatars.in_chunks", lambda *args, **kwargs: pytest.fail("rendered again"))
    small(avatars.folder.parent, workers=2).prepare()


@pytest.mark.parametrize(
    "change", [{"count": 61}, {"held_out": 11}, {"resolution": 16}, {"captions_per_face": 2}, {"seed": 1}]
)
def test_other_settings_use_another_cache(tmp_path: Path, change: dict[str, int]) -> None:
    assert small(tmp_path, **change).folder != small(tmp_path).folder


def test_the_cache_key_is_stable() -> None:
    avatars = Avatars("cache", 10_000, 1_000, 32)
    known = {"dicebear-core": "10.7.0", "dicebear-styles": "10.6.0", "resvg-py": "0.5.0"}
    assert avatars.settings["rules"] == CACHE_VERSION
    assert avatars.settings.pop("libraries").keys() == known.keys()
    assert fingerprint(avatars.settings | {"libraries": known}) == "dc9928b82c46"


def test_mirror_is_off_by_default_and_does_not_change_the_cache(tmp_path: Path) -> None:
    assert small(tmp_path).mirror is False
    assert small(tmp_path, mirror=True).mirror is True
    assert small(tmp_path, mirror=True).folder == small(tmp_path).folder


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("count", 0),
        ("held_out", 0),
        ("captions_per_face", 0),
        ("workers", 0),
        ("resolution", 2),
        ("resolution", 48),
        ("resolution", -8),
    ],
)
def test_arguments_out_of_range_raise(tmp_path: Path, argument: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"^{argument} must be .*, but is {value}\.$"):
        small(tmp_path, **{argument: value})


def test_attributes_are_consistent() -> None:
    for face, _ in FACES:
        assert tuple(face) == ATTRIBUTES
        colors = [face[name] for name in HAIR]
        bearded = face["No_Beard"] == 0 or face["Mustache"] == 1
        assert not (face["No_Beard"] == 0 and face["Mustache"] == 1)
        assert not bearded or (face["Male"] == 1 and sorted(colors) == [0, 0, 0, 0, 1])
        assert face["Sunglasses"] <= face["Eyeglasses"]
        assert face["Pale_Skin"] + face["Dark_Skin"] < 2
        assert face["Male"] in (0, 1)
        assert visible_attributes(face) == face or face["Wearing_Hat"]
        if face["Wearing_Hat"]:
            assert {face[name] for name in HIDDEN_HAIR} == {-1}
            assert bearded or set(colors) == {-1}
            assert visible_attributes(face) == face | {"Male": 1 if bearded else -1}
        elif face["Bald"]:
            assert face["Male"] == 1
            assert bearded or colors == [0] * 5
            assert face["Long_Hair"] == face["Wavy_Hair"] == face["Straight_Hair"] == 0
        else:
            assert face["Wavy_Hair"] + face["Straight_Hair"] == 1
            assert sorted(colors) == [0, 0, 0, 0, 1]
            assert not (face["Male"] == 1 and face["Long_Hair"] == 1)


def test_attributes_agree_with_the_rendering_options() -> None:
    for face, options in FACES:
        assert (options["topVariant"][0] in HATS) == bool(face["Wearing_Hat"])
        assert options["topProbability"] == (0 if face["Bald"] == 1 else 100)
        assert options["accessoriesProbability"] == 100 * face["Eyeglasses"]
        assert options["facialHairProbability"] == 100 * (face["No_Beard"] == 0 or face["Mustache"] == 1)
        assert options["mouthVariant"][0] in (
            ("smile", "default", "twinkle") if face["Smiling"] else ("serious", "sad")
        )
        for color, shades in HAIR.items():
            if face[color] == 1:
                assert options["hairColor"] == options["facialHairColor"]
                assert options["hairColor"][0] in shades


@pytest.mark.parametrize(
    ("name", "frequency"),
    [("Wearing_Hat", 0.12), ("Sunglasses", 0.12), ("Eyeglasses", 0.37), ("Smiling", 0.55), ("Pale_Skin", 1 / 3)],
)
def test_attribute_frequencies(name: str, frequency: float) -> None:
    # The standard deviation over 4,000 faces is below 0.008.
    assert abs(np.mean([face[name] for face, _ in FACES]) - frequency) < 0.04


def test_a_face_with_a_hat_is_called_a_man_or_a_woman_only_if_the_caption_mentions_the_hat() -> None:
    counts = {"woman": 0, "man": 0}
    for i, (face, _) in enumerate(FACES):
        words = set(re.findall(r"[a-z-]+", caption(face, random.Random(i)).lower()))
        called = [noun for noun, nouns in NOUNS.items() if nouns & words]
        if called and visible_attributes(face)["Male"] == -1:
            assert {"hat", "hats", "cap", "caps", "beanie", "headgear"} & words
            assert called == ["man" if face["Male"] else "woman"]
            counts[called[0]] += 1
    assert min(counts.values()) > 50


def test_captions_mention_only_known_and_true_attributes() -> None:
    for i, (face, _) in enumerate(FACES):
        expected = generate_caption(face, random.Random(i)).expected
        assert expected
        assert expected.items() <= face.items()
        assert -1 not in expected.values()


def test_every_option_is_visible() -> None:
    """Hair color, mouth, hat, glasses and beard each change the image at 32 x 32 pixels."""
    _, options = sample_face(random.Random(0))
    options |= {"topVariant": ["shortFlat"], "topProbability": 100, "skinColor": ["#edb98a"], "hairColor": ["#1c1210"]}
    options |= {"mouthVariant": ["smile"], "accessoriesProbability": 0, "facialHairProbability": 0}
    plain = render(options, 32)
    assert plain.shape == (3, 32, 32)
    assert plain.dtype == np.uint8
    assert np.array_equal(render(options, 32), plain)

    def changed(change: dict[str, Any]) -> npt.NDArray[np.bool_]:
        """Boolean (32, 32): the pixels that differ clearly."""
        difference: npt.NDArray[np.int64] = np.abs(render(options | change, 32).astype(int) - plain)
        return np.asarray(difference.max(axis=0) > 40)

    top, middle, bottom = slice(0, 10), slice(10, 17), slice(17, 28)
    for change, rows in (
        ({"hairColor": ["#dfb545"]}, top),
        ({"topProbability": 0}, top),
        ({"topVariant": ["winterHat1"]}, top),
        ({"accessoriesProbability": 100, "accessoriesVariant": ["round"]}, middle),
        ({"mouthVariant": ["serious"]}, bottom),
        ({"facialHairProbability": 100, "facialHairVariant": ["beardLight"], "facialHairColor": ["#1c1210"]}, bottom),
    ):
        assert changed(change)[rows].sum() >= 5, change
