"""Generate the images of this folder with the included model: python experiments/pretrained/pictures.py"""

from pathlib import Path

from t2f.cli.edit import edit
from t2f.cli.generate import generate
from t2f.cli.interpolate import interpolate

HERE = Path(__file__).parent
FACES = [
    "a smiling woman with long red hair and glasses",
    "a dark-skinned woman with short black hair",
    "a pale man with short blond hair",
    "a man with gray hair and glasses",
    "a person who wears a hat",
    "a bald man with a beard",
]
MANY_DESCRIPTIONS = [
    *("a man", "a woman", "a bald man", "a man with glasses", "a man with a beard", "a man with a hat"),
    *("a woman with long blond hair", "a woman with short black hair", "a dark-skinned man", "a pale woman"),
]


def main() -> None:
    generate("pretrained", FACES, 6, 0, 1.0, HERE / "faces.png")
    generate("pretrained", ["a smiling woman with brown hair"], 24, 0, 1.0, HERE / "variety.png")
    generate("pretrained", MANY_DESCRIPTIONS, 4, 3, 1.0, HERE / "faithfulness.png")
    edit(
        "pretrained",
        "a pale woman with blond hair",
        "a dark-skinned woman with black hair and glasses",
        4,
        6,
        0,
        1.0,
        HERE / "edit.png",
    )
    interpolate(
        "pretrained",
        "a smiling woman with long red hair",
        "a bald man with a beard",
        4,
        16,
        0,
        9,
        1.0,
        HERE / "morph.gif",
    )


if __name__ == "__main__":
    main()
