"""A linear probe or a network from scratch as the classifier of attributes? Needs CelebA's folder, in data/celeba.

python experiments/attribute_classifier/measure.py [data.folder=FOLDER]
"""

import json
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(HERE)]

from network import train_network

from t2f.batches.datamodule import FaceSource
from t2f.config import register_resolvers
from t2f.data.faces import Faces
from t2f.evaluation.attributes import accuracy
from t2f.metrics import attribute_classifier
from t2f.metrics.attribute_classifier import fit_logistic, train_classifier
from t2f.metrics.efficientnet import EfficientNetLite0
from t2f.metrics.features import read_all

CPU = torch.device("cpu")
DATA = {
    "avatars, 32x32": ["data=avatars"],
    "CelebA, 64x64": ["data=celeba", "data.crop=0.719", "resolution=64"],
}
Logits = Callable[[Tensor], Tensor]


def source_of(overrides: list[str]) -> FaceSource:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=[*overrides, "paths.run=unused"])
    source: FaceSource = instantiate(cfg.data)
    source.prepare()
    return source


def images_of(faces: Faces) -> Tensor:
    return torch.from_numpy(np.array(faces.images))


def network(faces: Faces) -> Logits:
    return train_network(faces).logits


def pooled(faces: Faces) -> Logits:
    """The features that distances are taken in."""
    extractor = EfficientNetLite0()
    weight, bias = fit_logistic(
        read_all(extractor, images_of(faces)).features, torch.from_numpy(np.array(faces.attributes))
    )
    return lambda images: torch.nn.functional.linear(read_all(extractor, images).features, weight, bias)


def probe(faces: Faces) -> Logits:
    classifier = train_classifier(faces, CPU)
    with torch.inference_mode():
        return lambda images: torch.cat([classifier(part) for part in images.split(attribute_classifier.BATCH_SIZE)])


NETWORK = "network from scratch"
KINDS = {
    NETWORK: network,
    "linear probe, pooled features (128x128)": pooled,
    "linear probe, fourth stage (the classifier)": probe,
}


def scores(read: Tensor, truth: Tensor) -> dict[str, float]:
    known = truth >= 0
    plain = (read == truth.bool())[known].float().mean()
    return {"balanced": float(accuracy(read, truth).nanmean()), "plain": float(plain)}


def measure(source: FaceSource) -> dict[str, dict[str, float]]:
    """The scores on the held-out faces, and the seconds of learning from the training faces."""
    truth = torch.from_numpy(np.array(source.held_out.attributes))
    found = {}
    for name, kind in KINDS.items():
        start = time.process_time()
        classify = kind(source.train)
        seconds = {"cpu_seconds": time.process_time() - start}
        with torch.inference_mode():
            logits = classify(images_of(source.held_out))
        found[name] = scores(logits > 0, truth) | seconds
        if name == NETWORK:  # present is also what is likelier than in the training faces, not only than absent
            present, known = (
                torch.from_numpy(each).float().sum(0)
                for each in (source.train.attributes == 1, source.train.attributes >= 0)
            )
            found[f"{name}, thresholds at the frequencies"] = (
                scores(logits > (present / known).logit(), truth) | seconds
            )
        print(name, found[name], flush=True)
    return found


def main() -> None:
    register_resolvers()
    torch.set_num_threads(1)
    results = {}
    for data, overrides in DATA.items():
        source = source_of([*overrides, *(sys.argv[1:] if "data=celeba" in overrides else [])])
        for name, found in measure(source).items():
            results[f"{data}: {name}"] = {**found, "train": len(source.train), "held_out": len(source.held_out)}
    lines = [
        f"Written by `experiments/attribute_classifier/measure.py` on {date.today()}: one thread of a CPU "
        f"({platform.machine()}), PyTorch {version('torch')}; seconds are of the processor, for reading the training "
        "faces and learning from them. One seed.",
        "",
        "| data: classifier | faces to learn from / held out | balanced accuracy | plain accuracy | CPU seconds |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, found in results.items():
        lines.append(
            f"| {name} | {found['train']:,} / {found['held_out']:,} | {found['balanced']:.3f} | {found['plain']:.3f} "
            f"| {found['cpu_seconds']:.0f} |"
        )
    (HERE / "results.md").write_text("\n".join(lines) + "\n")
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
