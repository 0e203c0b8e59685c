import csv
from pathlib import Path

import pytest

from t2f.training.loggers.csv import CSVLogger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "metrics.csv"


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of the file, each of which must have one cell per column."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    return [dict(zip(header, row, strict=True)) for row in rows]


def write(path: Path, steps: list[int]) -> CSVLogger:
    logger = CSVLogger(str(path))
    for step in steps:
        logger.log_metrics({"loss": step / 1000}, step)
    return logger


def steps_of(path: Path) -> list[int]:
    return [int(row["images_seen"]) for row in read(path)]


def test_each_step_is_a_row_with_images_seen_first(path: Path) -> None:
    logger = CSVLogger(str(path))
    logger.log_metrics({"loss": 0.5, "score": -2.0}, 100)
    logger.log_metrics({"loss": 0.25, "score": 3.0}, 200)
    assert path.read_text().splitlines() == ["images_seen,loss,score", "100,0.5,-2", "200,0.25,3"]


def test_a_new_metric_adds_a_column_and_leaves_earlier_cells_empty(path: Path) -> None:
    logger = write(path, [100, 200])
    logger.log_metrics({"loss": 0.3, "penalty": 7.0}, 300)
    logger.log_metrics({"penalty": 8.0}, 400)
    assert read(path) == [
        {"images_seen": "100", "loss": "0.1", "penalty": ""},
        {"images_seen": "200", "loss": "0.2", "penalty": ""},
        {"images_seen": "300", "loss": "0.3", "penalty": "7"},
        {"images_seen": "400", "loss": "", "penalty": "8"},
    ]


def test_the_order_of_metrics_does_not_matter(path: Path) -> None:
    logger = CSVLogger(str(path))
    logger.log_metrics({"a": 1.0, "b": 2.0}, 10)
    logger.log_metrics({"b": 4.0, "a": 3.0}, 20)
    assert read(path)[1] == {"images_seen": "20", "a": "3", "b": "4"}


def test_the_file_is_complete_after_each_step(path: Path) -> None:
    logger = CSVLogger(str(path))
    for step in range(1, 6):
        logger.log_metrics({f"metric {name}, the {name}th": float(name) for name in range(step)}, step)
        assert steps_of(path) == list(range(1, step + 1))


def test_a_resumed_run_keeps_earlier_rows(path: Path) -> None:
    write(path, [100, 200])
    write(path, [300, 400])
    assert steps_of(path) == [100, 200, 300, 400]
    assert [float(row["loss"]) for row in read(path)] == [0.1, 0.2, 0.3, 0.4]


def test_a_resumed_run_discards_later_rows(path: Path) -> None:
    write(path, [100, 200, 300, 400])
    resumed = CSVLogger(str(path))  # from a checkpoint at 200
    resumed.log_metrics({"loss": 9.0}, 300)
    assert [(row["images_seen"], row["loss"]) for row in read(path)] == [("100", "0.1"), ("200", "0.2"), ("300", "9")]
    resumed.log_metrics({"loss": 8.0}, 400)
    assert steps_of(path) == [100, 200, 300, 400]


def test_a_resumed_run_can_add_a_column(path: Path) -> None:
    write(path, [100, 200])
    CSVLogger(str(path)).log_metrics({"loss": 1.0, "penalty": 2.0}, 300)
    assert read(path)[0] == {"images_seen": "100", "loss": "0.1", "penalty": ""}
    assert read(path)[2] == {"images_seen": "300", "loss": "1", "penalty": "2"}


def test_a_resumed_run_without_a_metric_leaves_its_cells_empty(path: Path) -> None:
    logger = CSVLogger(str(path))
    logger.log_metrics({"loss": 1.0, "penalty": 2.0}, 100)
    write(path, [200])
    assert read(path)[1] == {"images_seen": "200", "loss": "0.2", "penalty": ""}


def test_creating_a_logger_writes_nothing(path: Path) -> None:
    CSVLogger(str(path))
    assert not path.exists()
    write(path, [100])
    before = path.read_bytes()
    CSVLogger(str(path))
    assert path.read_bytes() == before


def test_metrics_of_the_same_step_are_merged(path: Path) -> None:
    """The evaluation after training logs at the step of the last training row."""
    logger = CSVLogger(str(path))
    logger.log_metrics({"loss": 0.5}, 100)
    logger.log_metrics({"accuracy": 0.9}, 100)
    logger.log_metrics({"loss": 0.4}, 200)
    assert {"0.5", "0.4"} <= {row["loss"] for row in read(path)}
    assert "0.9" in {row["accuracy"] for row in read(path)}


def test_a_resumed_run_discards_all_metrics_of_a_repeated_step(path: Path) -> None:
    logger = write(path, [100, 200])
    logger.log_metrics({"accuracy": 0.9}, 200)
    write(path, [200, 300])
    assert [(row["images_seen"], row["loss"]) for row in read(path)] == [("100", "0.1"), ("200", "0.2"), ("300", "0.3")]
    assert {row["accuracy"] for row in read(path)} == {""}


def test_a_truncated_row_does_not_damage_the_next(path: Path) -> None:
    write(path, [100, 200])
    path.write_bytes(path.read_bytes()[: -len("0,0.2\r\n")])  # left: 20
    write(path, [300])
    assert 300 in steps_of(path)
