import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

from t2f.sweeps.job import Job, jobs_in
from t2f.sweeps.report import axis_values, report, varied_settings
from t2f.utils.errors import UserError
from t2f.utils.files import PARTIAL_FILES

IMAGES = {"images_seen": 96.0, "images_planned": 96.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve jobs of a sweep over two losses and six learning rates; two jobs failed, and one was killed."""
    for number in range(12):
        loss, seed = ("hinge", "logistic")[number // 6], number % 6
        job = Job([f"loss={loss}", f"++model.lr={seed / 100}", "name=[x]"], minutes=number / 4)
        job.status = {3: "failed", 8: "failed", 9: "running"}.get(number, "finished")
        if job.status == "finished":
            job.metrics = {**IMAGES, "accuracy": 0.5 + number / 100, "faces": 30.0}
        elif job.status == "failed":
            job.error = f"It broke, [of course], at {number}."
        (tmp_path / str(number)).mkdir()
        job.write(tmp_path / str(number))
    return tmp_path


def test_the_csv_file_has_one_row_per_job_with_varied_settings_and_all_metrics(folder: Path) -> None:
    console = Console(width=150, record=True, quiet=True)
    report(folder, console)
    with (folder / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["job"] for row in rows] == [str(number) for number in range(12)]  # 10 comes after 9
    assert list(rows[0]) == ["job", "loss", "model.lr", "images", "minutes", "status", "accuracy", "faces", "error"]
    assert list(rows[4].values()) == ["4", "hinge", "0.04", "96", "1.0", "finished", "0.54", "30.0", ""]
    assert list(rows[8].values()) == ["8", "logistic", "0.02", "0", "2.0", "failed", "", "", rows[8]["error"]]
    assert rows[8]["error"] == "It broke, [of course], at 8."
    assert rows[9]["status"] == "unfinished"


def test_the_terminal_shows_failed_jobs_and_how_to_run_them_again(folder: Path) -> None:
    console = Console(width=150, file=io.StringIO())
    report(folder, console)
    output = console.file.getvalue()
    assert "2 of 12 jobs failed:" in output
    assert "3: It broke, [of course], at 3." in output
    command = f"""train.py -m loss=hinge ++model.lr=0.03 'name=[x]' hydra.sweep.dir={folder} 'hydra.sweep.subdir="3"'"""
    assert command in output.replace("\n", "")
    assert "faces" not in output  # equal in all jobs


def test_several_sweeps_are_reported_together(folder: Path) -> None:
    jobs = report(folder.parent, Console(quiet=True))
    assert {*jobs} >= {f"{folder.name}/{number}" for number in range(12)}


def test_a_folder_without_jobs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no job of a sweep"):
        report(tmp_path, Console(quiet=True))


def test_settings_of_only_some_jobs_are_varied() -> None:
    jobs = {"a": Job(["seed=1", "loss=hinge"]), "b": Job(["seed=1", "+extra=3", "loss=hinge"])}
    assert varied_settings(jobs) == {"extra": {"a": "", "b": "3"}}


def test_numeric_settings_are_plotted_as_numbers_and_others_as_categories() -> None:
    assert axis_values({"0": "0.5", "1": "1e-3"}) == {"0": 0.5, "1": 0.001}
    assert axis_values({"0": "wgan", "1": "2"}) == {"0": "wgan", "1": "2"}


def test_a_record_is_unchanged_by_reading_and_writing(folder: Path) -> None:
    jobs = jobs_in(folder)
    assert len(jobs) == 12
    jobs["3"].write(folder / "3")
    assert jobs_in(folder) == jobs
    assert not list(folder.rglob(PARTIAL_FILES))
