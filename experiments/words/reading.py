"""Are the words of `prompts.csv` understood, by models of several data and vocabularies? Nothing is drawn.

python experiments/words/reading.py
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

from t2f import load
from t2f.conditioning.sentences import TokenConditioner
from t2f.data.captions.generate import generate_caption
from t2f.text.reader import DescriptionReader
from t2f.text.tokenizer import WordTokenizer

HERE = Path(__file__).parent
FACES, SEED = 10_000, 0
DRAWN = """Male Smiling Eyeglasses Sunglasses Wearing_Hat Bald Black_Hair Blond_Hair Brown_Hair Red_Hair Gray_Hair
    Long_Hair Wavy_Hair Straight_Hair Pale_Skin Dark_Skin No_Beard Mustache"""
CELEBA = """
    5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair
    Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup
    High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose
    Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat
    Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young
    """


def reader(attributes: str, vocabulary: int) -> DescriptionReader:
    """Of the captions of faces that have each attribute with a chance of a quarter."""
    rng = random.Random(SEED)
    names = attributes.split()
    faces = ({name: int(rng.random() < 0.25) for name in names} for _ in range(FACES))
    return DescriptionReader(WordTokenizer.train((generate_caption(face, rng).text for face in faces), vocabulary, 50))


def readers() -> Iterator[tuple[str, DescriptionReader]]:
    shipped = load("pretrained").conditioner
    assert isinstance(shipped, TokenConditioner)
    yield "the shipped model", shipped.reader
    yield "CelebA's attributes", reader(CELEBA, 5000)
    yield "CelebA's attributes, 100 words", reader(CELEBA, 100)
    yield "drawn faces, 60 words", reader(DRAWN, 60)


def main() -> None:
    rows = list(csv.DictReader((HERE / "prompts.csv").open(encoding="utf-8")))
    parts = list(dict.fromkeys(row["part"] for row in rows))
    print(f"| nothing ignored, of | {' | '.join(parts)} |\n|---|{'---:|' * len(parts)}")
    for name, some in readers():
        shares = []
        for part in parts:
            readings = [some(row["prompt"]) for row in rows if row["part"] == part]
            shares.append(sum(each.understood and not each.ignored for each in readings) / len(readings))
        print(f"| {name} | {' | '.join(f'{share:.1%}' for share in shares)} |")


if __name__ == "__main__":
    main()
