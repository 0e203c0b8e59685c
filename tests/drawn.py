"""Small data sets of drawn pictures, on disk as their authors publish them, and the overrides that read them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CELEBA = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male "
    "Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks "
    "Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace "
    "Wearing_Necktie Young"
)


def draw_picture(path: Path, size: tuple[int, int], rng: np.random.Generator) -> None:
    """A face of a kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = [tuple(map(int, colour)) for colour in rng.integers(0, 256, (2, 3))]
    picture = Image.new("RGB", size, colours[0])
    ImageDraw.Draw(picture).ellipse([size[0] // 4, size[1] // 4, 3 * size[0] // 4, 3 * size[1] // 4], fill=colours[1])
    picture.save(path, quality=90)


def write_celeba(folder: Path) -> list[str]:
    """20 faces as CelebA's authors publish theirs, and the overrides to read them."""
    rng = np.random.default_rng(0)
    files = [f"{number:06}.jpg" for number in range(1, 21)]
    for file in files:
        draw_picture(folder / "img_align_celeba" / file, (178, 218), rng)
    rows = [f"{file} {' '.join(f'{value:2d}' for value in rng.choice([-1, 1], 40))}" for file in files]
    (folder / "list_attr_celeba.txt").write_text("\n".join(["20", f"{CELEBA} ", *rows, ""]))
    return [f"data.folder={folder}", "data.held_out=0.2", "data.workers=1"]


def write_face2text(folder: Path) -> list[str]:
    """10 people with two pictures each as LFW publishes them, one of each two described, and the overrides."""
    rng = np.random.default_rng(0)
    entries = []
    for person in (f"Ann_{letter}" for letter in "ABCDEFGHIJ"):
        for number in (1, 2):
            draw_picture(folder / f"lfw/{person}/{person}_{number:04}.jpg", (250, 250), rng)
        texts = [{"text": text} for text in ("a smiling woman", "a woman with red hair")]
        entries.append({"image": f"{person}/{person}_0001.png", "descriptions": texts})
    (folder / "face2text").mkdir()
    (folder / "face2text/clean.json").write_text(json.dumps(entries))
    return [f"data.images={folder}/lfw", f"data.descriptions={folder}/face2text/clean.json", "data.workers=1"]


def write_folder(folder: Path) -> list[str]:
    """20 pictures with a metadata.jsonl of texts and one attribute, and the overrides to read them."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(20):
        draw_picture(folder / f"{number}.png", (40, 50), rng)
        texts = ["a smiling woman", "she smiles"] if number % 2 else "a serious man"
        rows.append(json.dumps({"file_name": f"{number}.png", "text": texts, "Smiling": number % 2}))
    (folder / "metadata.jsonl").write_text("\n".join(rows))
    return [f"data.folder={folder}", "data.held_out=0.3", "data.workers=1"]
