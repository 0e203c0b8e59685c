import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, TINY
from fixtures.two_processes import RUNS
from omegaconf import DictConfig
from test_readme import execute
from test_train import assert_equal, start

import train as main
from t2f.cli.evaluate import evaluate
from t2f.utils.checkpoints import read_checkpoint
from t2f.utils.errors import UserError
from t2f.utils.processes import exclusive_run, launch_name, one_at_a_time

Tiny = Callable[..., DictConfig]
Two = tuple[Path, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    """What two real processes left, and what each of them told."""
    out = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["tests/fixtures/two_processes.py", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.count("Growth") == len(RUNS) + 2  # one process prints
    return out, [json.loads((out / f"told{rank}.json").read_text()) for rank in (0, 1)]


def weights(two: Two, name: str) -> list[dict[str, torch.Tensor]]:
    """Of both processes, at the end of a run."""
    return [torch.load(two[0] / name / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]


def numbers(run: Path) -> list[dict[str, float]]:
    """The rows of a run's metrics."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: float(v) for k, v in row.items() if v and not k.startswith(("speed/", "memory/"))} for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_both_processes_have_the_same_weights_to_the_bit(two: Two, name: str) -> None:
    one, other = weights(two, name)
    assert_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["growing", "random"])
def test_two_processes_train_as_one_does_with_the_whole_batch(tiny: Tiny, tmp_path: Path, two: Two, name: str) -> None:
    """Through growth and fading, with wrong words, noise and augmentation drawn for the whole batch."""
    main.train(tiny(base=RUNS[name]))
    one, both = numbers(tmp_path / "run"), numbers(two[0] / name)
    assert [list(row) for row in one] == [list(row) for row in both]
    for row, other in zip(one, both, strict=True):
        assert other == pytest.approx(row, rel=1e-4, abs=1e-5)
    expected = read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["state_dict"]
    for key, value in weights(two, name)[0].items():
        torch.testing.assert_close(
            value, expected[key], rtol=1e-3, atol=1e-4, msg=lambda told, key=key: f"{key}: {told}"
        )


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both_after_the_same_step(two: Two) -> None:
    told = two[1]
    assert [each["status"] for each in told] == [128 + signal.SIGTERM, 0]  # one tells the outside
    assert [each["stopped_at"] for each in told] == [96, 96]
    assert [each["status_of_the_rest"] for each in told] == [0, 0]


@pytest.mark.slow
def test_a_run_of_two_processes_goes_on_to_the_bit(two: Two) -> None:
    assert_equal(weights(two, "growing")[0], weights(two, "stopped")[0])
    assert numbers(two[0] / "growing") == numbers(two[0] / "stopped")


@pytest.mark.slow
def test_torchruns_processes_agree_on_a_name(two: Two) -> None:
    assert len({name for told in two[1] for name in told["launch"]}) == 1


def test_slurms_processes_agree_on_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    job = {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "2", "SLURM_JOB_START_TIME": "1700000000"}
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    names = set()
    for rank in range(4):
        monkeypatch.setenv("SLURM_PROCID", str(rank))
        names.add(launch_name())
    (name,) = names
    assert name.startswith("2023-11-1")
    assert name.endswith("-4711.2")
    monkeypatch.delenv("SLURM_JOB_START_TIME")
    with pytest.raises(UserError, match=r"set hydra\.run\.dir"):
        launch_name()
    monkeypatch.setenv("SLURM_NTASKS", "1")
    assert launch_name() != launch_name()


def test_one_process_prepares_while_the_others_wait(tmp_path: Path) -> None:
    with one_at_a_time(tmp_path / "cache"):
        process = os.fork()
        if not process:
            with one_at_a_time(tmp_path / "cache"):
                (tmp_path / "entered").touch()
            os._exit(0)
        time.sleep(0.3)
        assert not (tmp_path / "entered").exists()
    os.waitpid(process, 0)
    assert (tmp_path / "entered").exists()


def test_a_cache_that_cannot_be_written_is_waited_for_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    entered = False
    with one_at_a_time(tmp_path / "file"):
        entered = True
    assert entered


TWO = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu"]


@pytest.mark.slow
def test_lightnings_own_processes_share_a_folder_and_a_signal_stops_both(tmp_path: Path) -> None:
    """`python train.py trainer=ddp`, stopped in its second stage."""
    with start(*TINY, *TWO, f"paths.runs={tmp_path}", "name=ddp", "growth.images=[48,100000]") as process:
        deadline = time.monotonic() + 200
        while not list(tmp_path.glob("ddp/*/checkpoints/4px.ckpt")):
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.terminate()
        out, error = process.communicate(timeout=100)
    assert process.returncode == 128 + signal.SIGTERM, error
    assert out.count("Stopped after") == 1
    (run,) = tmp_path.glob("ddp/*")
    assert read_checkpoint(run / "checkpoints/last.ckpt")["t2f"]["images_seen"] > 48


@pytest.mark.slow
def test_a_signal_while_processes_are_started_ends_the_run_at_once(tmp_path: Path) -> None:
    """As of a job that is cancelled early: all of its processes get it, and those that still import die of it."""
    spawned = [*TINY, *TWO, "trainer=ddp_spawn", f"hydra.run.dir={tmp_path}/run"]
    command = [sys.executable, "train.py", *spawned]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + 200
        while not any("spawn_main" in command_of(child) for child in children.read_text().split()):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGTERM)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, out + error
    assert "Traceback" not in error


def command_of(process: str) -> str:
    """The command line of a process by its number, empty of one that has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


def test_ddp_in_a_sweep_is_refused_with_what_to_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        execute(f"python train.py -m {' '.join(TWO)} seed=1,2", tmp_path)
    assert "use trainer=ddp_spawn" in capfd.readouterr().err


def test_what_ddp_spawn_sends_its_processes_is_small(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """The faces stay in the cache, and nothing has a lock, a terminal or an open file."""
    sent = []
    monkeypatch.setattr(main, "fit", lambda *objects: sent.append(objects))
    main.train(tiny(*TWO, "trainer=ddp_spawn", "data.count=2000"))
    trainer, system, data, _ = sent[0]
    assert "spawn" in trainer.strategy.launcher._start_method
    size = len(ForkingPickler.dumps((trainer, data)))
    assert size < data.source.train.images.nbytes, size
    ForkingPickler.dumps(system)


@pytest.mark.slow
def test_two_processes_measure_what_one_does(two: Two, tmp_path: Path) -> None:
    """In training and at its end, of 80 faces, which are two blocks to draw; the same to the last bit."""
    run = two[0] / "dcgan"
    assert [row["images_seen"] for row in numbers(run) if "quality/kernel_distance_tiny" in row] == [32, 64, 96]
    assert (run / "checkpoints/best.ckpt").exists()
    features = ["features._target_=fixtures.made_up.TinyFeatures", "~features.resolution"]
    settings = ["evaluation=default", "evaluation.count=80", "evaluation.text_alignment={}"]
    evaluate(str(run / "checkpoints/last.ckpt"), [*features, *settings], tmp_path)
    alone, together = (
        json.loads(file.read_text())["figures"] for file in (tmp_path / "report.json", run / "evaluation.json")
    )
    assert len(alone) > 5
    assert alone == together


def test_one_run_at_a_time_trains_in_a_folder(tmp_path: Path) -> None:
    with (
        exclusive_run(tmp_path / "run"),
        pytest.raises(UserError, match="Another process is training in"),
        exclusive_run(tmp_path / "run"),
    ):
        pass
    with exclusive_run(tmp_path / "run"):  # free again
        pass
