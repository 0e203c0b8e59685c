import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from t2f.data.captions.describe import RULES, describe
from t2f.data.datasets.avatars import ATTRIBUTES, HAIR, HATS, Avatars, as_seen, caption, draw, sample_face
from t2f.data.faces import fingerprint
from t2f.utils.errors import UserError

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


def test_one_worker_and_two_write_the_same_bytes(avatars: Avatars, tmp_path: Path) -> None:
    two = small(tmp_path, workers=2)
    two.prepare()
    assert two.folder.name == avatars.folder.name
    names = sorted(path.name for path in two.folder.iterdir())
    assert names == ["about.json", "attributes.npy", "captions.json", "images.npy"]
    for name in names:
        assert (two.folder / name).read_bytes() == (avatars.folder / name).read_bytes()


def test_faces_keep_the_contract(avatars: Avatars) -> None:
    faces = avatars.faces
    assert faces.images.shape == (70, 3, 8, 8)
    assert faces.images.dtype == np.uint8
    assert faces.attributes.shape == (70, 18)
    assert faces.attributes.dtype == np.int8
    assert tuple(faces.attribute_names) == ATTRIBUTES
    assert [len(captions) for captions in faces.captions] == [4] * 70
    assert len(np.unique(faces.images.reshape(70, -1), axis=0)) == 70


def test_train_comes_first_and_held_out_last(avatars: Avatars) -> None:
    faces = avatars.faces
    assert np.array_equal(avatars.train.images, faces.images[:60])
    assert np.array_equal(avatars.held_out.images, faces.images[60:])
    assert list(avatars.held_out.captions) == faces.captions[60:]


def test_a_finished_cache_is_not_drawn_again(avatars: Avatars, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("t2f.data.datasets.avatars.in_chunks", lambda *what, **more: pytest.fail("drawn again"))
    small(avatars.folder.parent, workers=2).prepare()


@pytest.mark.parametrize(
    "change", [{"count": 61}, {"held_out": 11}, {"resolution": 16}, {"captions_per_face": 2}, {"seed": 1}]
)
def test_other_settings_have_another_cache(tmp_path: Path, change: dict[str, int]) -> None:
    assert small(tmp_path, **change).folder != small(tmp_path).folder


def test_the_key_of_the_cache_stays_as_it_was() -> None:
    avatars = Avatars("cache", 10_000, 1_000, 32)
    known = {"dicebear-core": "10.7.0", "dicebear-styles": "10.6.0", "resvg-py": "0.5.0"}
    assert avatars.settings["rules"] == RULES
    assert avatars.settings.pop("libraries").keys() == known.keys()
    assert fingerprint(avatars.settings | {"libraries": known}) == "dc9928b82c46"


def test_pictures_are_mirrored_only_if_asked_which_needs_no_other_cache(tmp_path: Path) -> None:
    assert small(tmp_path).mirror is False
    assert small(tmp_path, mirror=True).mirror is True
    assert small(tmp_path, mirror=True).folder == small(tmp_path).folder


@pytest.mark.parametrize(
    ("key", "value"),
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
def test_bad_settings_are_named(tmp_path: Path, key: str, value: int) -> None:
    with pytest.raises(UserError, match=rf"^data\.{key} is {value}: .*\.$"):
        small(tmp_path, **{key: value})


def test_attributes_agree_with_each_other() -> None:
    for face, _ in FACES:
        assert tuple(face) == ATTRIBUTES
        colors = [face[name] for name in HAIR]
        bearded = face["No_Beard"] == 0 or face["Mustache"] == 1
        assert not (face["No_Beard"] == 0 and face["Mustache"] == 1)
        assert not bearded or (face["Male"] == 1 and sorted(colors) == [0, 0, 0, 0, 1])
        assert face["Sunglasses"] <= face["Eyeglasses"]
        assert face["Pale_Skin"] + face["Dark_Skin"] < 2
        assert face["Male"] in (0, 1)
        assert as_seen(face) == face or face["Wearing_Hat"]
        if face["Wearing_Hat"]:
            assert {face[name] for name in HIDDEN_HAIR} == {-1}
            assert bearded or set(colors) == {-1}
            assert as_seen(face) == face | {"Male": 1 if bearded else -1}
        elif face["Bald"]:
            assert face["Male"] == 1
            assert bearded or colors == [0] * 5
            assert face["Long_Hair"] == face["Wavy_Hair"] == face["Straight_Hair"] == 0
        else:
            assert face["Wavy_Hair"] + face["Straight_Hair"] == 1
            assert sorted(colors) == [0, 0, 0, 0, 1]
            assert not (face["Male"] == 1 and face["Long_Hair"] == 1)


def test_attributes_agree_with_the_drawing() -> None:
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
    ("name", "share"),
    [("Wearing_Hat", 0.12), ("Sunglasses", 0.12), ("Eyeglasses", 0.37), ("Smiling", 0.55), ("Pale_Skin", 1 / 3)],
)
def test_shares(name: str, share: float) -> None:
    # The standard deviation over 4,000 faces is below 0.008.
    assert abs(np.mean([face[name] for face, _ in FACES]) - share) < 0.04


def test_who_wears_a_hat_is_called_a_man_or_a_woman_only_where_the_hat_is_spoken_of() -> None:
    sexes = {"woman": 0, "man": 0}
    for i, (face, _) in enumerate(FACES):
        words = set(re.findall(r"[a-z-]+", caption(face, random.Random(i)).lower()))
        called = [sex for sex, nouns in NOUNS.items() if nouns & words]
        if called and as_seen(face)["Male"] == -1:
            assert {"hat", "hats", "cap", "caps", "beanie", "headgear"} & words
            assert called == ["man" if face["Male"] else "woman"]
            sexes[called[0]] += 1
    assert min(sexes.values()) > 50


def test_captions_say_nothing_hidden_and_nothing_false() -> None:
    for i, (face, _) in enumerate(FACES):
        asked = describe(face, random.Random(i)).expected
        assert asked
        assert asked.items() <= face.items()
        assert -1 not in asked.values()


def test_every_choice_can_be_seen() -> None:
    """Another hair colour, mouth, hat, pair of glasses or beard is another picture, at 32 pixels."""
    _, options = sample_face(random.Random(0))
    options |= {"topVariant": ["shortFlat"], "topProbability": 100, "skinColor": ["#edb98a"], "hairColor": ["#1c1210"]}
    options |= {"mouthVariant": ["smile"], "accessoriesProbability": 0, "facialHairProbability": 0}
    plain = draw(options, 32)
    assert plain.shape == (3, 32, 32)
    assert plain.dtype == np.uint8
    assert np.array_equal(draw(options, 32), plain)

    def changed(change: dict[str, Any]) -> npt.NDArray[np.bool_]:
        """Boolean (32, 32): the pixels that are clearly different."""
        difference: npt.NDArray[np.int64] = np.abs(draw(options | change, 32).astype(int) - plain)
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
