"""The model card: what a model draws, how to call it, what it learnt from, what was measured, what it is not for.

It follows the Hugging Face Hub's conventions (https://huggingface.co/docs/hub/model-cards): Markdown, with YAML that
the Hub searches by.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hydra.utils import get_class

from t2f.conditioning.frozen_encoder import FrozenTextConditioner
from t2f.conditioning.sentences import TextConditioner
from t2f.data.datasets.avatars import Avatars
from t2f.data.datasets.origin import OWN, Origin
from t2f.data.datasets.photographs import ImageDataset
from t2f.evaluation.metric_value import MetricValue
from t2f.evaluation.report import HEADINGS, markdown_table, row
from t2f.evaluation.runs import REPORTS, leaves
from t2f.inference.export.onnx import ONNX
from t2f.inference.export.program import PROGRAM
from t2f.inference.pipeline import Pipeline
from t2f.inference.trust import require_ours
from t2f.utils.errors import UserError
from t2f.utils.instantiate import from_yaml, to_yaml

REPORT = REPORTS[0]
NOT_FOR = """\
- To identify persons, to draw a certain person, or to pass a drawn face off as a photograph of somebody.
- To deceive: no profile, account, witness or proof should have a face from here.
- To judge people: what the model draws for a word shows what its data joined to that word, and nothing of how people
  with that trait look, or are.
- For anything in which it matters that a face is right: reports of crime, medicine, forensics."""


def write_card(
    pipeline: Pipeline,
    name: str,
    on_hub: bool,
    differences: dict[str, float],
    report: dict[str, Any],
    path: Path,
) -> None:
    """Write the model card.

    Args:
        painter: the model.
        name: what `t2f.load` takes: OWNER/NAME on the Hub, or a folder.
        on_hub: whether `name` is a repository on the Hub.
        differences: the largest difference of each exported file from the model, by the file's name.
        report: what `t2f evaluate` wrote of it; empty if it was not measured.
        path: the file to write.
    """
    config = from_yaml(pipeline.config)
    origin = origin_of(config)
    sections = [
        f"# {title(pipeline, config, name, on_hub)}",
        what(pipeline, config),
        "## Use",
        in_python(pipeline, name, on_hub),
        *([without_t2f(pipeline, differences)] if differences else []),
        "## What it learnt from, and their terms",
        origin.terms + rest_of_terms(pipeline),
        "## Figures",
        figures(report),
        "## Biases",
        origin.biases,
        "## What it is not for",
        NOT_FOR,
    ]
    text = f"---\n{metadata(pipeline, origin)}---\n\n" + "\n\n".join(sections) + "\n"
    path.write_text(text, encoding="utf-8")


def origin_of(config: Any) -> Origin:
    """What is known of the data that a model's plain config names; only our own sources are asked."""
    data = config.get("data") or {}
    try:
        require_ours(data, ("t2f.data",), (Avatars, ImageDataset))
        origin: Origin = getattr(get_class(data["_target_"]), "origin", OWN)
        return origin
    except (KeyError, UserError):
        return OWN


def metadata(pipeline: Pipeline, origin: Origin) -> str:
    """The YAML that the Hub reads."""
    entries = {
        "license": origin.license,
        "license_name": origin.license_name,
        "license_link": origin.link if origin.license_name else None,
        "library_name": "t2f",
        "pipeline_tag": "text-to-image",
        "language": "en" if isinstance(pipeline.conditioner, TextConditioner) else None,
        "tags": ["t2f", "gan", "faces", "text-to-face"],
    }
    return to_yaml({key: value for key, value in entries.items() if value is not None})


def title(pipeline: Pipeline, config: Any, name: str, on_hub: bool) -> str:
    """The name on the Hub; of a folder, the run's name, its data and its resolution."""
    if on_hub:
        return name.rpartition("/")[2]
    data = str((config.get("data") or {}).get("_target_", "")).rpartition(".")[2].lower()
    size = f"{pipeline.resolution}x{pipeline.resolution}"
    return f"t2f {config.get('name', '')} ({', '.join(filter(None, (data, size)))})"


def what(pipeline: Pipeline, config: Any) -> str:
    """What the model is."""
    size = f"{pipeline.resolution}x{pipeline.resolution}"
    networks = pipeline.networks
    count = sum(weights.numel() for weights in networks.parameters())
    parts = ", ".join(f"`{type(part).__name__}`" for part in (networks.encoder, networks.generator))
    loss = str(dict(leaves(config)).get("loss.adversarial._target_", "")).rpartition(".")[2]
    trained = f"; loss `{loss}`" if loss else ""
    fading = "" if pipeline.alpha == 1 else f" It was fading in its newest layers, which count {pipeline.alpha:.2g}."
    asked = "a description" if isinstance(pipeline.conditioner, TextConditioner) else "a list of attributes"
    return (
        f"Draws faces of {size} pixels from {asked}, such as `{pipeline.conditioner.example}`. It is a GAN ({parts}; "
        f"{count:,} weights{trained}) that saw {pipeline.images_seen:,} images in its training.{fading} `config.json` "
        "holds every setting of that."
    )


def in_python(pipeline: Pipeline, name: str, on_hub: bool) -> str:
    """Three lines of Python, and what to install first."""
    extras = [
        *(["hub"] if on_hub else []),
        *(["text"] if isinstance(pipeline.conditioner, FrozenTextConditioner) else []),
    ]
    package = f"'.[{','.join(extras)}]'" if extras else "."
    return f"""\
With t2f, in a clone of its repository: `pip install -e {package}`, then

```python
import t2f

faces = t2f.load({json.dumps(name)})
faces({json.dumps(pipeline.conditioner.example)}, count=8, seed=0)[0].save("face.png")
```"""


def without_t2f(pipeline: Pipeline, differences: dict[str, float]) -> str:
    """How to call what was exported, and how exact it is."""
    how = {
        ONNX: f"""\
import onnxruntime

session = onnxruntime.InferenceSession("{ONNX}")
[images] = session.run(["images"], {{"condition": condition, "noise": noise}})""",
        PROGRAM: f"""\
import torch

draw = torch.export.load("{PROGRAM}").module()
images = draw(torch.from_numpy(condition), torch.from_numpy(noise)).numpy()""",
    }
    exact = ", ".join(f"`{file}` by up to {worst:.1e}" for file, worst in differences.items())
    ways = "\n\nor\n\n".join(f"```python\n{how[file]}\n```" for file in differences)
    imported = re.findall(r"^(?:from|import) (\w+)", pipeline.conditioner.recipe, re.MULTILINE)
    runtimes = {ONNX: "onnxruntime", PROGRAM: "torch"}
    packages = ["numpy", "pillow", *(each.replace("_", "-") for each in imported), *(runtimes[f] for f in differences)]
    return f"""\
Without t2f: `pip install {" ".join(dict.fromkeys(packages))}`, then in this folder, from any number of conditions and
as many rows of noise (N, {pipeline.noise_dim}), float32 and standard normal, to float32 images
(N, 3, {pipeline.resolution}, {pipeline.resolution}), about -1 to 1:

```python
import json

import numpy as np
from PIL import Image

config = json.load(open("config.json", encoding="utf-8"))
{pipeline.conditioner.recipe}
noise = np.random.default_rng(0).standard_normal((len(condition), {pipeline.noise_dim})).astype(np.float32)
```

{ways}

```python
pixels = ((images + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
Image.fromarray(pixels[0].transpose(1, 2, 0)).save("face.png")
```

Checked when it was exported, on the CPU, with 1 to 16 faces: the images differ from PyTorch's, {exact}."""


def rest_of_terms(pipeline: Pipeline) -> str:
    """Whose else terms hold."""
    if not isinstance(pipeline.conditioner, FrozenTextConditioner):
        return ""
    return f"\n\nThe sentence encoder `{pipeline.conditioner.name}` is no part of this model and has terms of its own."


def figures(report: dict[str, Any]) -> str:
    """The measured table, and what it depends on."""
    if not report:
        return "None were measured of this model: `t2f evaluate` does so."
    table = markdown_table(HEADINGS, [row(MetricValue(**figure)) for figure in report["table"]])
    by = f" Features: {report['features']}." if report.get("features") else ""
    return "\n".join(
        [
            f"Of {report['count']:,} faces, drawn for what held-out ones are described by, with seed "
            f"{report['seed']}.{by} `{REPORT}` has the same with all that it depends on. Compare figures at the same "
            "numbers of faces and the same features only.",
            "",
            *table,
            *(f"- {note}" for note in report["notes"]),
        ]
    ).rstrip()
