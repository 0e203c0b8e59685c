"""Generate faces.png with the included model: python experiments/photographs/pictures.py"""

from pathlib import Path

from t2f.cli.generate import generate

DESCRIPTIONS = [
    "A young woman with blond hair, heavy makeup and high cheekbones, who is smiling.",
    "A man with black hair, thick eyebrows and a beard, who is serious.",
    "She is attractive and has brown hair, bangs and rosy cheeks.",
    "A smiling man with a slightly open mouth, brown hair and no beard.",
    "An older woman with gray hair and earrings, who smiles.",
    "A man with gray hair, bags under his eyes and a double chin.",
]

if __name__ == "__main__":
    generate("photos", DESCRIPTIONS, 6, 0, 0.8, Path(__file__).parent / "faces.png")
