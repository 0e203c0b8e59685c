"""Compare classifiers of attributes: linear probes and a network from scratch. Needs CelebA in data/celeba.

The avatars' classifiers are also measured on 1,000 faces that the included model generates from prompts about held-out
faces.

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

from t2f.data.faces import Faces
from t2f.evaluation.attribute_alignment import accuracy
from t2f.inference.load import load
from t2f.metrics import attribute_classifier
from t2f.metrics.attribute_classifier import fit_logistic, train_classifier
from t2f.metrics.efficientnet import EfficientNetLite
from t2f.metrics.features import extract_features
from t2f.training.batches.datamodule import FaceDataset
from t2f.training.resolvers import register_resolvers
from t2f.utils.images import to_uint8

CPU = torch.device("cpu")
COUNT = 1000
DATA = {
    "avatars, 64x64": ["data=avatars", "resolution=64"],
    "CelebA, 64x64": ["data=celeba", "data.crop=0.719", "resolution=64"],
}
Logits = Callable[[Tensor], Tensor]


def source_of(overrides: list[str]) -> FaceDataset:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=[*overrides, "paths.run=unused"])
    source: FaceDataset = instantiate(cfg.data)
    source.prepare()
    return source


def images_of(faces: Faces) -> Tensor:
    return torch.from_numpy(np.array(faces.images))


def network(faces: Faces) -> Logits:
    return train_network(faces).logits


def pooled(faces: Faces) -> Logits:
    """Fit a linear probe to the pooled features, which the distances use."""
    extractor = EfficientNetLite()
    weight, bias = fit_logistic(
        extract_features(extractor, images_of(faces)).features, torch.from_numpy(np.array(faces.attributes))
    )
    return lambda images: torch.nn.functional.linear(extract_features(extractor, images).features, weight, bias)


def without_copies(faces: Faces) -> Logits:
    """Fit a linear probe to the fourth stage, without perturbed copies."""
    classifier = attribute_classifier.AttributeClassifier(len(faces.attribute_names)).eval()
    with torch.inference_mode():
        features = torch.cat([classifier.features(part) for part in images_of(faces).split(64)])
    weight, bias = fit_logistic(features, torch.from_numpy(np.array(faces.attributes)))
    return lambda images: torch.cat(
        [torch.nn.functional.linear(classifier.features(part), weight, bias) for part in images.split(64)]
    )


def probe(faces: Faces) -> Logits:
    classifier = train_classifier(faces, CPU)
    with torch.inference_mode():
        return lambda images: torch.cat([classifier(part) for part in images.split(attribute_classifier.BATCH_SIZE)])


NETWORK = "network from scratch"
KINDS = {
    NETWORK: network,
    "linear probe, pooled features (128x128)": pooled,
    "linear probe, fourth stage": without_copies,
    "linear probe, fourth stage, perturbed copies (the classifier)": probe,
}


def scores(predicted: Tensor, truth: Tensor) -> dict[str, float]:
    known = truth >= 0
    unbalanced = (predicted == truth.bool())[known].float().mean()
    return {"balanced": float(accuracy(predicted, truth).nanmean()), "unbalanced": float(unbalanced)}


def generated(source: FaceDataset) -> tuple[Tensor, Tensor]:
    """Return faces that the included model generates from COUNT held-out prompts, and their expected attributes."""
    pipeline = load()
    prompts = pipeline.conditioner.prompt_set(source.held_out, COUNT, seed=0)
    with torch.inference_mode():
        return to_uint8(
            pipeline.generate_from_text(prompts.descriptions, pipeline.noise(COUNT, seed=0))
        ), prompts.expected


def measure(source: FaceDataset, faces: tuple[Tensor, Tensor] | None) -> dict[str, dict[str, float]]:
    """Return each classifier's scores on the held-out faces and the seconds that its training took.

    Args:
        source: Data set.
        faces: Generated faces and their expected attributes; None to measure on real faces only.
    """
    truth = torch.from_numpy(np.array(source.held_out.attributes))
    found = {}
    for name, kind in KINDS.items():
        start = time.process_time()
        classify = kind(source.train)
        seconds = {"cpu_seconds": time.process_time() - start}
        with torch.inference_mode():
            logits = classify(images_of(source.held_out))
        found[name] = scores(logits > 0, truth) | seconds
        if faces:
            with torch.inference_mode():
                found[name]["generated"] = float(accuracy(classify(faces[0]) > 0, faces[1]).nanmean())
        if (
            name == NETWORK
        ):  # also with the attribute's frequency in the training faces as the threshold of its probability
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
        faces = generated(source) if "data=avatars" in overrides else None
        for name, found in measure(source, faces).items():
            results[f"{data}: {name}"] = {**found, "train": len(source.train), "held_out": len(source.held_out)}
    lines = [
        f"Written by `experiments/attribute_classifier/measure.py` on {date.today()}: one thread of a CPU "
        f"({platform.machine()}), PyTorch {version('torch')}. CPU seconds are those of feature extraction and training."
        f" Generated faces: balanced accuracy of the attributes in the prompts, {COUNT:,} faces. One seed.",
        "",
        "| data: classifier | training / held-out faces | balanced accuracy | unbalanced accuracy | generated faces "
        "| CPU seconds |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, found in results.items():
        lines.append(
            f"| {name} | {found['train']:,} / {found['held_out']:,} | {found['balanced']:.3f} "
            f"| {found['unbalanced']:.3f} | {format(found['generated'], '.3f') if 'generated' in found else ''} "
            f"| {found['cpu_seconds']:.0f} |"
        )
    (HERE / "results.md").write_text("\n".join(lines) + "\n")
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
