"""What descriptions ask for, as models of several data and vocabularies read them."""

import random
from functools import cache

import pytest

from t2f.data.captions.describe import describe
from t2f.text.lexicon import CONCEPTS_OF
from t2f.text.reader import Reader
from t2f.text.synonyms import DENIALS, TOPICS
from t2f.text.tokenizer import WordTokenizer

DRAWN = """Male Smiling Eyeglasses Sunglasses Wearing_Hat Bald Black_Hair Blond_Hair Brown_Hair Red_Hair Gray_Hair
    Long_Hair Wavy_Hair Straight_Hair Pale_Skin Dark_Skin No_Beard Mustache"""
PHOTOGRAPHED = """5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair
    Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup
    High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose
    Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat
    Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young"""


@cache
def captions(attributes: str) -> list[str]:
    """Of 3,000 faces with some of these attributes."""
    rng = random.Random(0)
    faces = ({name: int(rng.random() < 0.4) for name in attributes.split()} for _ in range(3000))
    return [describe(face, rng).text for face in faces]


@cache
def reader(attributes: str, vocabulary: int = 2000) -> Reader:
    """A reader of the words, or the most frequent ones, of these captions."""
    return Reader(WordTokenizer.train(captions(attributes), vocabulary, 50))


def read(some: Reader, typed: str) -> str:
    return " ".join(some(typed).words).removesuffix(" .")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("brwon hair", "brown hair"),
        ("a smilling womann with glases", "a smiling woman with glasses"),
        ("a woman wihtout glasses", "a woman without glasses"),
        ("dark haired boy", "dark haired boy"),
        ("someone with fair hair", "someone with fair hair"),
        ("men with beards", "men with beards"),
        ("bald guy with mustache", "bald guy with mustache"),
        ("old man", "man"),
        ("young woman", "woman"),
        ("isn't smiling", "is not smiling"),
        ("he dosent have a beard", "he does not have a beard"),
        ("a straight face", "a serious look"),
        ("man with salt and pepper hair", "man with gray hair"),
        ("mother with blond curls", "woman with blond curly hair"),
        ("a long-haired hippie", "a long haired person"),
        ("30 year old woman with brown eyes", "woman"),
        ("strawberry blonde lady", "blonde lady"),
        ("glasses: no, hair: black, gender: male", "hair is black , male , no glasses"),
        ("no hair, no beard, glasses", "glasses , no hair , no beard"),
        ("Man. Beard. Hat.", "man , beard , hat"),
        ("a woman with no earrings or glasses", "a woman with no glasses"),
        ("neither earrings nor glasses", "no glasses"),
        ("no earrings, glasses", "glasses"),
        ("a not old man", "a man"),
        ("glasses-free man", "no glasses man"),
        ("an angry man", "a serious man"),
        ("an elderly woman", "a woman"),
        ("a kid w/out glasses", "a person without glasses"),
        ("a woman who's lost her glasses", "a woman who is without her glasses"),
        ("female / brown hair / glasses", "female , brown hair , glasses"),
        ("businesswoman with black hair", "woman with black hair"),
        ("a fireman in a top hat", "a man in a hat"),
        ("a hipster guy", "a guy"),
        ("teen girl with acne", "girl"),
    ],
)
def test_a_model_of_drawn_faces_is_asked_for_what_they_show(typed: str, meant: str) -> None:
    assert read(reader(DRAWN), typed) == meant
    assert not reader(DRAWN)(typed).ignored


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a man in aviators", "a man in glasses"),
        ("Female, 25 years old, long blond hair", "female , young , blond hair"),
        ("a 60-year-old man with a beard", "an older man with a beard"),
        ("woman in her thirties", "woman who is young"),
        ("my grandma", "old woman"),
        ("a pretty girl", "an attractive girl"),
        ("a man in a black tie", "a man in a tie"),
        ("a woman with brown eyes", "a woman"),
        ("narrow eyes", "narrow eyes"),
        ("light brown hair", "light brown hair"),
        ("5 o'clock shadow", "stubble"),
        ("a german woman", "a woman"),
        ("she has no earrings", "she has no earrings"),
    ],
)
def test_a_model_of_photographs_is_asked_for_what_they_show(typed: str, meant: str) -> None:
    assert read(reader(PHOTOGRAPHED), typed) == meant
    assert not reader(PHOTOGRAPHED)(typed).ignored


def test_what_the_data_do_not_show_is_said_in_one_note() -> None:
    assert reader(DRAWN)("a sexy girl with red lipstick and earrings").notes == [
        "left out, since the model's training data say nothing of it: makeup (red lipstick), jewellery (earrings), "
        "looks (sexy)"
    ]
    assert reader(DRAWN, 40)("a woman with auburn hair").notes == [
        "left out, since the model learnt no word for it: hair colour (auburn)"
    ]


DENIED = ["he is not {}", "a man who isn't {}", "someone with no {}", "no {} or {}", "a woman without {}", "never {}"]
SAY_THE_OPPOSITE = {"unsmiling", "serious", "stern", "solemn", "clean", "cleanshaven", "bald", "hairless"}


@pytest.mark.parametrize("vocabulary", [20, 40, 100, 2000])
@pytest.mark.parametrize("data", [DRAWN, PHOTOGRAPHED])
def test_what_is_denied_is_never_read_as_asked_for(data: str, vocabulary: int) -> None:
    some = reader(data, vocabulary)
    for topic in ("expression", "glasses", "hat", "beard and mustache", "jewellery", "hair"):
        for thing in sorted(TOPICS[topic] - {"look", "looks", "haired", "heads", "head", "headed", "clean", "facial"}):
            same = {word for concept in CONCEPTS_OF.get(thing, ()) for form in concept.forms for word in form} | {thing}
            for frame in DENIED:
                words = some(frame.format(thing, thing)).words
                asked = [place for place, word in enumerate(words) if word in same - SAY_THE_OPPOSITE]
                denied = any(word in DENIALS | SAY_THE_OPPOSITE for word in words)
                assert not asked or denied, (frame.format(thing, thing), words)
