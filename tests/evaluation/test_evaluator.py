import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from conftest import ROOT
from fixtures.made_up import Colors, MadeUp, TinyFeatures, conditioner

from t2f.evaluation.evaluator import Evaluator
from t2f.evaluation.generate import draw
from t2f.evaluation.metric_value import EvaluationResult
from t2f.evaluation.text_alignment import EvaluationBatch, TextAlignment
from t2f.metrics.distances import FrechetDistance, KernelDistance
from t2f.metrics.features import BLOCK, MissingPackage, read_all
from t2f.metrics.neighbors import Memorization, PrecisionRecall
from t2f.utils.errors import UserError


def evaluation(cache: Path, **changes: object) -> Evaluator:
    settings: dict[str, object] = {
        "count": 150,
        "real_count": 1000,
        "reference": "train",
        "seed": 0,
        "cache": str(cache),
        "features": TinyFeatures,
        "metrics": {"frechet_distance": FrechetDistance(), "precision_recall": PrecisionRecall()},
        "text_alignment": {},
    }
    return Evaluator(**{**settings, **changes})  # type: ignore[arg-type]  # of many types


def test_a_better_artist_has_better_figures(tmp_path: Path) -> None:
    measure = evaluation(tmp_path)
    good, bad = (
        {figure.name: figure for figure in measure(Colors(blur), MadeUp(), conditioner()).figures}
        for blur in (0.136, 3)
    )
    assert set(good) == {"frechet_distance_tiny", "precision_tiny", "recall_tiny"}
    assert good["frechet_distance_tiny"].drawn < 0.5 * bad["frechet_distance_tiny"].drawn
    assert good["precision_tiny"].drawn > bad["precision_tiny"].drawn
    assert good["frechet_distance_tiny"].better == "lower"
    assert good["recall_tiny"].better == "higher"


def test_real_faces_in_place_of_drawn_ones_are_beside(tmp_path: Path) -> None:
    (figure,) = evaluation(tmp_path, metrics={"frechet_distance": FrechetDistance()})(
        Colors(), MadeUp(), conditioner()
    ).figures
    expected = FrechetDistance()
    extractor = TinyFeatures()
    for real, images in ((False, MadeUp().held_out.images), (True, MadeUp().train.images)):
        expected.update(read_all(extractor, torch.from_numpy(images)), real)
    assert figure.real == pytest.approx(float(expected.compute()), rel=1e-9)


def test_the_same_seed_gives_the_same_figures_to_the_last_bit(tmp_path: Path) -> None:
    one, same, other = (evaluation(tmp_path, seed=seed)(Colors(), MadeUp(), conditioner()).flat() for seed in (0, 0, 1))
    assert one == same
    assert one != other


def test_truncation_takes_the_variety_away(tmp_path: Path) -> None:
    spreads = []
    for truncation in (1.0, 0.5, 0.0):
        faces = draw(Colors(), torch.ones(BLOCK, 2), 0, None, truncation).images.float()
        spreads.append(float(faces.std(dim=0).mean()))
    assert spreads[0] > spreads[1] > spreads[2] == 0
    whole, half = (evaluation(tmp_path, truncation=t)(Colors(), MadeUp(), conditioner()).flat() for t in (1.0, 0.5))
    assert whole != half


def test_faces_do_not_depend_on_how_many_others_are_drawn() -> None:
    """Their blocks are whole, so networks round them alike."""
    conditions = torch.ones(3 * BLOCK, 2)
    few, many = (draw(Colors(), conditions[:count], 0, TinyFeatures()) for count in (BLOCK, 3 * BLOCK))
    assert torch.equal(few.features, many.features[:BLOCK])
    assert torch.equal(few.images, many.images[:BLOCK])


def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    """Of really two processes: 150 faces are three blocks, so their shares differ."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = Path(__file__).parent / "two_processes.py"
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    subprocess.run([*command, str(script), str(tmp_path)], env=os.environ | paths, check=True, timeout=300)
    alone = evaluation(tmp_path / "cache")(Colors(), MadeUp(), conditioner()).flat()
    found = [ast.literal_eval((tmp_path / f"{rank}.txt").read_text()) for rank in (0, 1)]
    assert found == [alone, {}]


def test_pixels_that_are_not_numbers_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="draws pixels that are not numbers"):
        evaluation(tmp_path)(Colors(float("nan")), MadeUp(), conditioner())


def test_real_faces_are_drawn_by_the_seed_among_those_of_the_reference(tmp_path: Path) -> None:
    source = MadeUp()
    some = evaluation(tmp_path, real_count=20).real_images(source)
    assert len(some) == 20
    assert np.array_equal(some, evaluation(tmp_path, real_count=20).real_images(source))
    assert not np.array_equal(some, evaluation(tmp_path, real_count=20, seed=1).real_images(source))
    assert not np.array_equal(some, source.train.images[:20])
    everything = evaluation(tmp_path, reference="held_out").real_images(source)
    assert np.array_equal(everything, source.held_out.images)


def test_against_held_out_faces_there_is_no_column_of_real_ones(tmp_path: Path) -> None:
    result = evaluation(tmp_path, reference="held_out")(Colors(), MadeUp(), conditioner())
    assert [figure.real for figure in result.figures] == [None, None, None]


def test_few_faces_for_the_features_are_noted(tmp_path: Path) -> None:
    few, enough = (
        " ".join(evaluation(tmp_path, count=count)(Colors(), MadeUp(), conditioner()).notes) for count in (12, 150)
    )
    assert "biased upwards" in few
    assert "biased upwards" not in enough


def test_too_few_held_out_faces_leave_their_column_empty(tmp_path: Path) -> None:
    result = evaluation(tmp_path)(Colors(), MadeUp(held_out=2), conditioner())
    assert all(figure.real is None for figure in result.figures)
    assert "2 held-out faces are too few" in " ".join(result.notes)


def test_a_missing_package_leaves_the_rest(tmp_path: Path) -> None:
    def missing() -> TinyFeatures:
        raise MissingPackage("timm is missing: pip install it.")

    result = evaluation(tmp_path, features=missing)(Colors(), MadeUp(), conditioner())
    assert result.figures == []
    assert result.notes == ["Not compared with real faces. timm is missing: pip install it."]


def test_a_metric_of_another_name_bears_the_features_too(tmp_path: Path) -> None:
    metrics = {"kid": KernelDistance(subsets=1), "copies": Memorization()}
    names = {figure.name for figure in evaluation(tmp_path, metrics=metrics)(Colors(), MadeUp(), conditioner()).figures}
    assert names == {"kid_tiny", "copies_tiny"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"count": 0}, "evaluation.count is 0"),
        ({"real_count": 1}, "evaluation.real_count is 1"),
        ({"reference": "test"}, "choose train or held_out"),
        ({"truncation": -0.5}, "evaluation.truncation is -0.5"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        evaluation(tmp_path, **changes)


class Known(TinyFeatures):
    known_as: ClassVar[dict[str, str]] = {"frechet_distance": "FID"}


def test_tradition_names_the_title_alone(tmp_path: Path) -> None:
    """Whatever the features, best.ckpt is chosen by a name that begins alike."""
    measure = evaluation(tmp_path, features=Known)
    figures = {figure.name: figure.title for figure in measure(Colors(), MadeUp(), conditioner()).figures}
    assert figures["frechet_distance_tiny"] == "FID"
    assert figures["precision_tiny"] == "precision"


def test_metrics_that_give_one_figure_twice_are_refused(tmp_path: Path) -> None:
    metrics = {"narrow": PrecisionRecall(3), "wide": PrecisionRecall(5)}
    with pytest.raises(UserError, match=r"give the figure .*precision_tiny"):
        evaluation(tmp_path, metrics=metrics)(Colors(), MadeUp(), conditioner())


def test_drawn_faces_are_shown_beside_the_real_ones_nearest_to_them(tmp_path: Path) -> None:
    source = MadeUp()
    measure = evaluation(tmp_path)
    nearest = measure(Colors(), source, conditioner()).nearest
    assert nearest is not None
    assert nearest.shape == (8, 5, 3, 8, 8)
    assert nearest.dtype == torch.uint8
    extractor = TinyFeatures()
    real = extractor(torch.from_numpy(source.train.images))[0]
    for row in nearest:
        distances = torch.cdist(extractor(row)[0][:1].double(), real.double())[0]
        assert torch.equal(row[1], torch.from_numpy(source.train.images[int(distances.argmin())]))


def test_copies_that_cannot_be_seen_are_noted(tmp_path: Path) -> None:
    some, all_of_them = (
        " ".join(evaluation(tmp_path, real_count=count)(Colors(), MadeUp(), conditioner()).notes)
        for count in (200, 300)
    )
    assert "do not count as memorised" in some
    assert "do not count as memorised" not in all_of_them


def test_classifiers_run_on_the_device_of_what_generates(tmp_path: Path) -> None:
    class Spy(TextAlignment):
        def __call__(self, batch: EvaluationBatch) -> EvaluationResult:
            self.device = batch.device
            return EvaluationResult()

    spy, generator = Spy(), Colors()
    generator.device = torch.device("cpu", 0)  # which is not equal to a plain "cpu"
    evaluation(tmp_path, metrics={}, text_alignment={"spy": spy})(generator, MadeUp(), conditioner())
    assert spy.device == torch.device("cpu", 0)
