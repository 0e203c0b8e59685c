"""Teach the text encoder of a trained model more words, and leave all else as it is, bit for bit.

    python experiments/words/distil.py TEACHER OUT

TEACHER is an exported model of drawn faces, OUT the folder to write. Captions with many words are made for drawn faces;
for what each asks, the teacher is asked in plain words that it knows. The student, which starts as the teacher's
encoder with a longer vocabulary, learns to give the teacher's embedding for the caption (mean square error, of the
embedding and of what the conditioning augmentation makes of it).
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor

from t2f.conditioning.sentences import TokenConditioner
from t2f.data.captions.generate import GeneratedCaption, generate_caption
from t2f.data.captions.phrases import COLORS, DARK
from t2f.data.datasets.avatars import sample_face, visible_attributes
from t2f.inference.load import load, save_folder
from t2f.inference.pipeline import Pipeline
from t2f.text.lstm import LSTMEncoder
from t2f.text.tokenizer import WordTokenizer

FACES, CAPTIONS, SEED = 40_000, 8, 0
STEPS, BATCH_SIZE, LEARNING_RATE = 4_000, 256, 3e-3
PLAIN = {"Black_Hair": "black", "Blond_Hair": "blond", "Brown_Hair": "brown", "Gray_Hair": "gray", "Red_Hair": "red"}
OF_HAIR = (*COLORS, "Long_Hair", "Wavy_Hair", "Straight_Hair")


def captions_of(faces: range) -> list[GeneratedCaption]:
    """Captions of drawn faces, as the data set has them, with what each asks for."""
    made = []
    for index in faces:
        rng = random.Random(f"words {SEED} {index}")
        face, _ = sample_face(rng)
        for _ in range(CAPTIONS):
            told = generate_caption(face, rng)
            made.append(told if "Wearing_Hat" in told.expected else generate_caption(visible_attributes(face), rng))
    return made


def plainly(asked: Mapping[str, int]) -> Iterator[str]:
    """What is asked, in the teacher's words: one description, or several whose mean is meant.

    Several are for what the teacher has no word: skin between pale and dark, hair that is black or brown, somebody who
    may be a man or a woman. A man of whose hair nothing is said has short hair: the teacher would draw him bald, and a
    person with a hat.
    """
    skins = {(1, 0): ["pale"], (0, 1): ["dark-skinned"], (0, 0): ["pale", "dark-skinned"]}
    hairs = [[*lengths(asked), *textures(asked), color] for color in colors(asked)]
    genders = ["woman", "man"][asked["Male"] :][:1] if "Male" in asked else ["person"]
    silent = not any(name in asked for name in OF_HAIR) and not asked.get("Bald") and not asked.get("Wearing_Hat")
    if silent and asked.get("Male") != 0:
        genders = genders if "Male" in asked else ["man", "woman"]
        hairs = [["short"]]
    skin = skins.get((asked.get("Pale_Skin", -1), asked.get("Dark_Skin", -1)), [""])
    for noun, complexion, hair in itertools.product(genders, skin, hairs):
        yield sentence(asked, noun, complexion, [word for word in hair if word])


def lengths(asked: Mapping[str, int]) -> list[str]:
    return [("short", "long")[asked["Long_Hair"]]] if "Long_Hair" in asked and not asked.get("Bald") else []


def textures(asked: Mapping[str, int]) -> list[str]:
    return [("straight", "curly")[asked["Wavy_Hair"]]] if "Wavy_Hair" in asked and not asked.get("Bald") else []


def colors(asked: Mapping[str, int]) -> list[str]:
    """The colour that is asked for; black and brown, where only that it is dark; or nothing."""
    if named := [PLAIN[name] for name in COLORS if asked.get(name) == 1]:
        return named
    return [PLAIN[name] for name in DARK] if "Blond_Hair" in asked and "Black_Hair" not in asked else [""]


def sentence(asked: Mapping[str, int], noun: str, complexion: str, hair: list[str]) -> str:
    """A dark-skinned smiling man with short red hair, a beard and glasses but without a hat."""
    moods = {1: "smiling", 0: "serious"}
    adjectives = [complexion, moods.get(asked.get("Smiling", -1), ""), "bald" if asked.get("Bald") else ""]
    beardless = asked.get("No_Beard") == 1
    if beardless and asked.get("Mustache") == 0:
        adjectives.append("clean-shaven")
    color = ""
    if hair and "Bald" not in asked and hair[-1] in PLAIN.values() and len(hair) == 1:  # of the beard, then
        color, hair = f"{hair[0]} ", []
    things = [f"{' '.join(hair)} hair"] if hair else []
    if asked.get("No_Beard") == 0:
        things.append(f"a {color}beard")
        color = ""
    if asked.get("Mustache") == 1:
        things.append(f"a {color}mustache")
    if asked.get("Eyeglasses") == 1:
        things.append("sunglasses" if asked.get("Sunglasses") else "glasses")
    if asked.get("Wearing_Hat") == 1:
        things.append("a hat")
    lacks = ["glasses"] if asked.get("Eyeglasses") == 0 else []
    lacks += ["a beard"] if beardless and "clean-shaven" not in adjectives else []
    lacks += ["a mustache"] if asked.get("Mustache") == 0 and "clean-shaven" not in adjectives else []
    lacks += ["a hat"] if asked.get("Wearing_Hat") == 0 else []
    having = f" with {', '.join(things[:-1])}{' and ' if things[1:] else ''}{things[-1]}" if things else ""
    lacking = f"{' but' if things else ''} without {' or '.join(lacks)}" if lacks else ""
    return f"A {' '.join([*filter(None, adjectives), noun])}{having}{lacking}."


@torch.inference_mode()
def embedded(teacher: Pipeline, descriptions: Iterable[str]) -> dict[str, Tensor]:
    """The teacher's embeddings of distinct descriptions, each (E,)."""
    distinct = sorted(set(descriptions), key=len)
    parts = [distinct[start : start + 512] for start in range(0, len(distinct), 512)]
    rows = [row for part in parts for row in teacher.embed(part)]
    return dict(zip(distinct, rows, strict=True))


def grown(teacher: LSTMEncoder, before: Mapping[str, int], tokenizer: WordTokenizer) -> LSTMEncoder:
    """The teacher's encoder for another vocabulary: words that it knows keep their vectors, others start small."""
    width, hidden = teacher.lstm.input_size, teacher.lstm.hidden_size
    student = LSTMEncoder(len(tokenizer), width, hidden, teacher.lstm.num_layers, teacher.lstm.bidirectional)
    student.lstm.load_state_dict(teacher.lstm.state_dict())
    with torch.no_grad():
        student.words.weight.mul_(0.1)
        for word, row in tokenizer.vocabulary.items():
            if word in before:
                student.words.weight[row] = teacher.words.weight[before[word]]
    return student


def distil(student: LSTMEncoder, project: torch.nn.Module, rows: Tensor, targets: Tensor) -> None:
    """Let the student give the targets (N, E) for the rows (N, L)."""
    optimizer = torch.optim.AdamW(student.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS, pct_start=0.1)
    project = project.requires_grad_(False)
    mean = 0.0
    for step in range(STEPS):
        chosen = torch.randint(len(rows), (BATCH_SIZE,))
        batch = rows[chosen]
        given = student(batch[:, : int((batch != 0).sum(1).max())])
        wanted = targets[chosen]
        loss = F.mse_loss(given, wanted) + F.mse_loss(project(given), project(wanted))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        mean += loss.item() / 200
        if step % 200 == 199:
            print(f"step {step + 1:,} of {STEPS:,}: error {mean:.4f}", flush=True)
            mean = 0.0


def with_vocabulary(config: Any, before: int, after: int) -> Any:
    """A plain config in which the number of token ids is another."""
    if isinstance(config, dict):
        return {
            key: after if key in ("vocabulary", "size") and value == before else with_vocabulary(value, before, after)
            for key, value in config.items()
        }
    return config


def main(teacher_folder: str, out: str) -> None:
    torch.manual_seed(SEED)
    teacher = load(teacher_folder)
    with ProcessPoolExecutor() as pool:
        parts = pool.map(captions_of, (range(start, start + 1000) for start in range(0, FACES, 1000)))
        captions = [caption for part in parts for caption in part]
    print(f"{len(captions):,} captions, such as: {captions[0].text}", flush=True)
    tokenizer = WordTokenizer.train((caption.text for caption in captions), vocabulary=5000, max_tokens=50)
    meant = [list(plainly(caption.expected)) for caption in captions]
    known = embedded(teacher, itertools.chain.from_iterable(meant))
    print(f"{len(known):,} plain descriptions; {len(tokenizer):,} token ids", flush=True)
    targets = torch.stack([torch.stack([known[text] for text in texts]).mean(0) for texts in meant]).clone()
    rows = tokenizer([caption.text for caption in captions])
    networks = teacher.networks
    encoder = networks.encoder
    assert isinstance(encoder, LSTMEncoder)
    student = grown(encoder, teacher.conditioner.tokenizer.vocabulary, tokenizer)
    distil(student, networks.conditioning.project, rows, targets)
    before = teacher.conditioner.size
    conditioner = TokenConditioner(tokenizer, teacher.conditioner.example)
    networks.encoder = student.eval()
    config = with_vocabulary(OmegaConf.to_container(OmegaConf.create(teacher.config)), before, conditioner.size)
    settings = (teacher.resolution, teacher.alpha, teacher.images_seen, OmegaConf.to_yaml(OmegaConf.create(config)))
    Path(out).mkdir(parents=True, exist_ok=True)
    save_folder(Pipeline(networks, conditioner, *settings), Path(out), half=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
