import itertools
import random
import re
from collections.abc import Iterator

import pytest

from t2f.data.captions.generate import GeneratedCaption, generate_caption
from t2f.data.captions.phrases import COLORS

CELEBA = [
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
]
AVATAR_ATTRIBUTES = ["Red_Hair", "Long_Hair", "Sunglasses", "Dark_Skin"]

# The meaning of words, written independently of `PHRASES`: a pattern, and the attributes that it states.
MEANINGS = {
    r"\b(man|guy|gentleman|male|he)\b": {"Male": 1},
    r"\b(woman|lady|female|she)\b": {"Male": 0},
    r"(?<!not )\b(bald|bald-headed|no hair|without hair|not have hair)\b": {
        "Bald": 1,
        "Wavy_Hair": 0,
        "Straight_Hair": 0,
    },
    r"(?<!no )(?<!without )(?<!not have )(?<!not got )(?<!any )(?<!facial )(?<!neither )(?<!nor )\b(hair|\w+-haired)\b"
    r"(?! or )(?! nor )": {"Bald": 0},
    r"\bblack[ -]hair": {"Black_Hair": 1, "Blond_Hair": 0, "Brown_Hair": 0, "Gray_Hair": 0, "Bald": 0},
    r"\bblonde?[ -]hair": {"Blond_Hair": 1, "Black_Hair": 0, "Bald": 0},
    r"\bred (beard|goatee|mustache)": {"Red_Hair": 1, "Black_Hair": 0},
    r"\blong\b": {"Long_Hair": 1},
    r"\b(wavy|curly)\b": {"Wavy_Hair": 1, "Straight_Hair": 0},
    r"\b(an?|\w+) (beard|goatee)\b(?<!no beard)(?<!out a beard)(?<!out beard)"
    r"(?<!not have a beard)(?<!got a beard)(?<!any beard)(?<!or a beard)(?<!or beard)(?<!either beard)": {
        "No_Beard": 0
    },
    r"\bclean-shaven\b": {"No_Beard": 1, "Mustache": 0, "Goatee": 0, "5_o_Clock_Shadow": 0},
    r"\bno beard\b": {"No_Beard": 1},
    r"\b(sunglasses|shades)\b": {"Eyeglasses": 1, "Sunglasses": 1},
    r"(?<!not )\b(wearing|wears?|with) (glasses|eyeglasses|spectacles)\b": {"Eyeglasses": 1, "Sunglasses": 0},
    r"\b(no|without|not have|not wearing) glasses\b": {"Eyeglasses": 0, "Sunglasses": 0},
    r"(?<!not )\b(wearing|wears?) a hat\b": {"Wearing_Hat": 1},
    r"\b(no|without a|not have a|not wearing a) hat\b": {"Wearing_Hat": 0},
    r"(?<!not )\bsmiling\b": {"Smiling": 1},
    r"\b(not smiling|serious|unsmiling|without a smile)\b": {"Smiling": 0},
    r"\b(young|youthful)\b": {"Young": 1},
    r"\b(pale|fair)\b": {"Pale_Skin": 1, "Dark_Skin": 0},
    r"\bdark(-skinned| skin)\b": {"Dark_Skin": 1, "Pale_Skin": 0},
    r"\b(with|has|have|and) a mous?tache\b": {"Mustache": 1},
    r"\bno mous?tache\b": {"Mustache": 0},
}


PLURAL_NOUNS = (
    "men|women|people|guys|gentlemen|ladies|males|females|fellows|dudes|blokes|chaps|gents|gals|boys|lads|girls|faces|"
    "individuals|humans|persons|blondes|brunettes|redheads"
)


def noisy_captions(
    count: int, names: list[str], values: tuple[int, ...] = (0, 1)
) -> Iterator[tuple[dict[str, int], GeneratedCaption]]:
    """Generate captions of random, contradictory attributes."""
    rng = random.Random(1)
    for _ in range(count):
        share = rng.random()  # of present attributes, from none to all
        attributes = {name: 1 if 1 in values and rng.random() < share else rng.choice(values) for name in names}
        yield attributes, generate_caption(attributes, rng)


@pytest.mark.parametrize("names", [CELEBA, CELEBA + AVATAR_ATTRIBUTES], ids=["celeba", "with those of the avatars"])
@pytest.mark.parametrize("values", [(0, 1), (0, 1, -1)], ids=["known", "some unknown"])
def test_captions_never_contradict_the_attributes(names: list[str], values: tuple[int, ...]) -> None:
    for attributes, caption in noisy_captions(1500, names, values):
        assert caption.expected.items() <= attributes.items(), (caption, attributes)
        assert -1 not in caption.expected.values()


def test_words_state_the_expected_attributes() -> None:
    matched = set()
    for _, caption in noisy_captions(6000, CELEBA + AVATAR_ATTRIBUTES, (0, 0, 0, 1, -1)):
        for pattern, meaning in MEANINGS.items():
            if re.search(pattern, caption.text.lower()):
                matched.add(pattern)
                assert meaning.items() <= caption.expected.items(), (pattern, caption)
    assert matched == set(MEANINGS)


def test_captions_are_grammatical() -> None:
    for _, caption in noisy_captions(4000, CELEBA + AVATAR_ATTRIBUTES, (0, 0, 0, 1, -1)):
        text = caption.text
        assert re.fullmatch(r"[A-Z][^.]*\.( [A-Z][^.]*\.)*", text), text
        assert not re.search(r"  | [,.]|[{}|]|\band and\b", text), text
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text.lower()), text
        assert not re.search(r"\bthey (is|has|wears|does)\b|\b(he|she) (are|have|wear|do)\b", text.lower()), text
        if re.search(r"\bwho (are|have|wear|do)\b", text):  # plural
            assert re.match(rf"([\w-]+ )*({PLURAL_NOUNS})\b", text, re.IGNORECASE), text
        assert not re.search(r"\bthe someone|\ba someone", text.lower()), text
        words = re.findall(r"[\w'-]+", text.lower())
        assert all(a != b for a, b in itertools.pairwise(words)), text
        for part in ("nose", "eyebrows", "beard", "(?<!facial )hair"):
            assert len(re.findall(rf"\b{part}\b", text.lower())) < 2, text


@pytest.mark.parametrize("name", CELEBA + AVATAR_ATTRIBUTES)
def test_every_attribute_is_mentioned(name: str) -> None:
    attributes = dict.fromkeys([*CELEBA, *AVATAR_ATTRIBUTES], 0) | {"Male": 1, name: 1}
    if name == "Sunglasses":
        attributes["Eyeglasses"] = 1
    assert any(generate_caption(attributes, random.Random(seed)).expected.get(name) == 1 for seed in range(60))


def test_denials_come_last() -> None:
    """ "No glasses and a beard" could be read as neither."""
    verbs = "is|are|has|have|wears?|with|who|wearing|in|does|do|no|not|smiles?|grins?|laughs?|looks?"
    face = {"Male": 1, "Eyeglasses": 0, "Wearing_Hat": 0, "No_Beard": 1, "Smiling": 1, "Wavy_Hair": 1}
    texts = [caption.text for caption in captions_of(face, 1000)]
    assert any("hair and no glasses" in text for text in texts)
    for text in texts:
        assert not re.search(rf"\bno (glasses|hat|beard)(,| and) (?!({verbs})\b)", text), text


def captions_of(attributes: dict[str, int], count: int = 300) -> list[GeneratedCaption]:
    return [generate_caption(attributes, random.Random(seed)) for seed in range(count)]


def test_only_the_gender_is_known() -> None:
    texts = {caption.text for caption in captions_of({"Male": 0})}
    assert "A woman." in texts
    assert "A portrait of a lady." in texts
    assert all(caption.expected == {"Male": 0} for caption in captions_of({"Male": 0}))


def test_at_least_one_attribute_is_stated() -> None:
    for caption in captions_of({"Male": -1, "Smiling": 0, "Wavy_Hair": -1}):
        assert caption.expected == {"Smiling": 0}
    assert "Someone with a serious look." in {caption.text for caption in captions_of({"Smiling": 0}, 1000)}


def test_captions_without_attributes() -> None:
    assert {caption.text for caption in captions_of({})} >= {"A person.", "A portrait of a person."}
    assert all(caption.expected == {} for caption in captions_of({}))


def test_black_hair_entails_the_other_colors() -> None:
    face = {"Male": 0, "Bald": 0} | dict.fromkeys(COLORS, 0) | {"Black_Hair": 1}
    captions = {caption.text: caption.expected for caption in captions_of(face, 2000)}
    assert captions["A woman with black hair."] == face
    assert captions["She has black hair."] == face
    assert captions["The woman has black hair."] == face
    assert captions["A woman. She has black hair."] == face
    assert captions["A black-haired woman."] == face


def test_captions_may_be_lists_of_words() -> None:
    face = {"Male": 0, "Smiling": 1, "Bald": 0, "Long_Hair": 1, "Wearing_Hat": 0}
    captions = {caption.text: caption.expected for caption in captions_of(face, 20_000)}
    for text in ("Smiling woman, long hair, no hat.", "Smiling woman long hair no hat."):
        assert captions[text] == face
    assert captions["Long-haired lady, smile."] == {"Male": 0, "Smiling": 1, "Bald": 0, "Long_Hair": 1}


def test_hair_is_one_phrase_in_natural_order() -> None:
    face = {"Male": 0, "Long_Hair": 1, "Wavy_Hair": 1, "Straight_Hair": 0, "Red_Hair": 1}
    texts = [caption.text for caption in captions_of(face, 1000)]
    for phrase in ("long wavy red hair", "long curly ginger hair", "wavy red hair", "long hair", "red hair"):
        assert any(phrase in text for text in texts)
    unusual = [text for text in texts if re.search(r"red,? (and )?(long|wavy|curly)|(wavy|curly),? (and )?long", text)]
    assert 0 < len(unusual) < 100


@pytest.mark.parametrize("bald", [1, -1], ids=["bald", "under a hat"])
def test_the_color_of_a_beard(bald: int) -> None:
    face = {"Male": 1, "Bald": bald, "No_Beard": 0} | dict.fromkeys(COLORS, 0) | {"Red_Hair": 1}
    captions = {caption.text: caption.expected for caption in captions_of(face, 2000)}
    assert captions["A man with a red beard."] == {name: value for name, value in face.items() if name != "Bald"}
    assert captions["A man with a beard."] == {"Male": 1, "No_Beard": 0}
    assert ("A bald man with a red beard." in captions) == (bald == 1)
    assert not any(re.search("red hair|red-haired", text) for text in captions)


def test_contradictory_attributes_are_not_mentioned() -> None:
    bald_and_black = {"Male": 1, "Bald": 1, "Black_Hair": 1, "No_Beard": 1, "Mustache": 0, "Goatee": 1}
    for caption in captions_of(bald_and_black):
        assert not re.search("black|goatee|clean-shaven|beard", caption.text)
    two_colors = {"Male": 0, "Bald": 0, "Black_Hair": 1, "Brown_Hair": 1}
    for caption in captions_of(two_colors):
        assert caption.expected == {"Male": 0}


def test_glasses_without_the_attribute_sunglasses() -> None:
    for caption in captions_of({"Eyeglasses": 1}):
        assert caption.expected == {"Eyeglasses": 1}
        assert "sunglasses" not in caption.text
        assert "shades" not in caption.text


def test_a_woman_is_not_described_as_clean_shaven() -> None:
    for caption in captions_of({"Male": 0, "No_Beard": 1, "Mustache": 0}):
        assert caption.expected == {"Male": 0}


def test_absent_attributes_are_mentioned_less_often() -> None:
    glasses, none = captions_of({"Male": 1, "Eyeglasses": 1}, 1000), captions_of({"Male": 1, "Eyeglasses": 0}, 1000)
    # Binomial with n = 1000 and p = 0.75, 0.3: the standard deviation is below 15.
    assert abs(sum("Eyeglasses" in caption.expected for caption in glasses) - 750) < 75
    assert abs(sum("Eyeglasses" in caption.expected for caption in none) - 300) < 75


def test_captions_are_deterministic_and_varied() -> None:
    face = dict.fromkeys(CELEBA, 0) | {"Male": 1, "Smiling": 1, "Black_Hair": 1, "Eyeglasses": 1, "No_Beard": 1}
    assert captions_of(face) == captions_of(face)
    backwards = dict(reversed(face.items()))
    assert [caption.text for caption in captions_of(backwards)] == [caption.text for caption in captions_of(face)]
    assert len({caption.text for caption in captions_of(face)}) > 250


def test_plain_words_are_frequent_and_rare_words_occur() -> None:
    """A short training then learns the plain words, and the vocabulary contains the rare ones."""
    texts = [caption.text.lower() for caption in captions_of({"Male": 1, "Smiling": 1}, 6000)]
    plain = sum(bool(re.search(r"\b(man|guy|gentleman|male person|he|person|someone|they)\b", text)) for text in texts)
    assert plain > 0.7 * len(texts)
    for word in ("dude", "bloke", "boy", "lad", "males", "men", "grinning", "laughs", "smiles", "smiley", "photo"):
        assert any(re.search(rf"\b{word}\b", text) for text in texts), word


@pytest.mark.parametrize(("young", "expected"), [({}, True), ({"Young": 1}, True), ({"Young": 0}, False)])
def test_boy_and_girl_are_not_used_for_older_people(young: dict[str, int], expected: bool) -> None:
    for male, words in ((1, r"\b(boys?|lads?)\b"), (0, r"\bgirls?\b")):
        captions = [each for each in captions_of({"Male": male, **young}, 1000) if re.search(words, each.text.lower())]
        assert bool(captions) == expected
        assert all(young.items() <= caption.expected.items() for caption in captions)


def test_dark_hair_is_black_or_brown() -> None:
    for color in COLORS:
        face = {"Male": 0, "Bald": 0, "Dark_Skin": 0} | dict.fromkeys(COLORS, 0) | {color: 1}
        dark = [each for each in captions_of(face, 3000) if re.search("dark[ -]hair", each.text.lower())]
        assert bool(dark) == (color in ("Black_Hair", "Brown_Hair"))
        for caption in dark:
            assert {"Blond_Hair": 0, "Gray_Hair": 0, "Red_Hair": 0}.items() <= caption.expected.items()
            assert not {"Black_Hair", "Brown_Hair"} & set(caption.expected)


def test_fair_hair_is_blond_and_fair_skin_is_pale() -> None:
    face = {"Male": 0, "Bald": 0, "Pale_Skin": 1, "Dark_Skin": 0} | dict.fromkeys(COLORS, 0) | {"Blond_Hair": 1}
    for caption in captions_of(face, 3000):
        if re.search(r"\bfair([ -]skin| complexion)", caption.text.lower()):
            assert caption.expected["Pale_Skin"] == 1
        if re.search(r"\bfair[ -]hair", caption.text.lower()):
            assert caption.expected["Blond_Hair"] == 1


def test_tanned_is_neither_pale_nor_dark_where_both_are_known() -> None:
    neither = [
        each for each in captions_of({"Male": 0, "Pale_Skin": 0, "Dark_Skin": 0}, 3000) if "tan" in each.text.lower()
    ]
    assert neither
    assert all(caption.expected["Pale_Skin"] == caption.expected["Dark_Skin"] == 0 for caption in neither)
    assert not any("tanned" in each.text for each in captions_of({"Male": 0, "Pale_Skin": 0}, 3000))


def test_a_brunette_is_a_woman_and_a_redhead_anyone() -> None:
    for male in (0, 1):
        face = {"Male": male, "Bald": 0} | dict.fromkeys(COLORS, 0) | {"Brown_Hair": 1}
        nouns = [
            each
            for each in captions_of(face, 3000)
            if re.search(r"\b(a|the|this) brunette( who| with|\.|,)", each.text)
        ]
        assert bool(nouns) == (male == 0)
        assert all(each.expected == {**each.expected, "Male": 0, "Brown_Hair": 1} for each in nouns)


def test_several_people_have_plural_words() -> None:
    texts = {caption.text for caption in captions_of({"Male": 1, "No_Beard": 0, "Wearing_Hat": 1}, 6000)}
    assert any(
        re.match(r"(Men|Guys|Gentlemen) with (beards and hats|hats and beards|beards|hats)\.", text) for text in texts
    )
    assert not any(re.search("humen|gentlemans|ladys", text.lower()) for text in texts)


def test_captions_of_features_only_state_no_gender() -> None:
    texts = {caption.text: caption.expected for caption in captions_of({"Male": 1, "Smiling": 0}, 6000)}
    for text in ("Is not smiling.", "Not smiling.", "Serious."):
        assert texts[text] == {"Smiling": 0}
