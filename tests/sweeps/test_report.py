import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

from t2f.sweeps.job import Job, jobs_in
from t2f.sweeps.report import differing, positions, report
from t2f.utils.errors import UserError
from t2f.utils.files import LEFT_BY_A_CRASH

SEEN = {"images_seen": 96.0, "images_planned": 96.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve jobs of one sweep: two losses, six seeds; two of them failed, and one was killed."""
    for number in range(12):
        loss, seed = ("hinge", "logistic")[number // 6], number % 6
        job = Job([f"loss={loss}", f"++model.lr={seed / 100}", "name=[x]"], minutes=number / 4)
        job.status = {3: "failed", 8: "failed", 9: "running"}.get(number, "finished")
        if job.status == "finished":
            job.figures = {**SEEN, "accuracy": 0.5 + number / 100, "faces": 30.0}
        elif job.status == "failed":
            job.error = f"It broke, [of course], at {number}."
        (tmp_path / str(number)).mkdir()
        job.write(tmp_path / str(number))
    return tmp_path


def test_one_row_a_job_with_what_differs_and_every_figure(folder: Path) -> None:
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


def test_the_terminal_shows_what_failed_and_how_to_run_it_again(folder: Path) -> None:
    console = Console(width=150, file=io.StringIO())
    report(folder, console)
    said = console.file.getvalue()
    assert "2 of 12 jobs failed:" in said
    assert "3: It broke, [of course], at 3." in said
    again = f"""train.py -m loss=hinge ++model.lr=0.03 'name=[x]' hydra.sweep.dir={folder} 'hydra.sweep.subdir="3"'"""
    assert again in said.replace("\n", "")
    assert "faces" not in said  # the same in all jobs


def test_a_folder_of_several_sweeps_is_one_table(folder: Path) -> None:
    whole = folder.parent
    jobs = report(whole, Console(quiet=True))
    assert {*jobs} >= {f"{folder.name}/{number}" for number in range(12)}


def test_a_folder_without_jobs_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no job of a sweep"):
        report(tmp_path, Console(quiet=True))


def test_settings_that_only_some_jobs_have_differ(folder: Path) -> None:
    jobs = {"a": Job(["seed=1", "loss=hinge"]), "b": Job(["seed=1", "+extra=3", "loss=hinge"])}
    assert differing(jobs) == {"extra": {"a": "", "b": "3"}}


def test_numbers_stand_at_themselves_and_names_in_the_order_they_came() -> None:
    assert positions({"0": "0.5", "1": "1e-3"}) == {"0": 0.5, "1": 0.001}
    assert positions({"0": "wgan", "1": "hinge", "2": "wgan"}) == {"0": 0, "1": 1, "2": 0}


def test_a_record_survives_being_read_and_written(folder: Path) -> None:
    jobs = jobs_in(folder)
    assert len(jobs) == 12
    jobs["3"].write(folder / "3")
    assert jobs_in(folder) == jobs
    assert not list(folder.rglob(LEFT_BY_A_CRASH))
