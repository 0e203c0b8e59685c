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

import t2f.cli.train as main
from t2f.cli.evaluate import evaluate
from t2f.utils.checkpoints import read_checkpoint
from t2f.utils.errors import UserError
from t2f.utils.processes import exclusive_run, folder_lock, launch_name

Tiny = Callable[..., DictConfig]
TwoProcesses = tuple[Path, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> TwoProcesses:
    """The output folder of two torchrun processes, and the record of each process."""
    out = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["tests/fixtures/two_processes.py", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.count("Growth") == len(RUNS) + 2  # one process prints
    return out, [json.loads((out / f"results{rank}.json").read_text()) for rank in (0, 1)]


def weights(two_processes: TwoProcesses, name: str) -> list[dict[str, torch.Tensor]]:
    """The weights of both processes at the end of a run."""
    return [torch.load(two_processes[0] / name / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]


def read_metrics(run: Path) -> list[dict[str, float]]:
    """The rows of metrics.csv, without speed and memory."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: float(v) for k, v in row.items() if v and not k.startswith(("speed/", "memory/"))} for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_both_processes_have_bitwise_equal_weights(two_processes: TwoProcesses, name: str) -> None:
    one, other = weights(two_processes, name)
    assert_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["growing", "random"])
def test_two_processes_match_one_with_the_global_batch(
    tiny: Tiny, tmp_path: Path, two_processes: TwoProcesses, name: str
) -> None:
    """Through growth and fading, with mismatched text, noise and augmentation of the global batch."""
    main.train(tiny(base=RUNS[name]))
    one, both = read_metrics(tmp_path / "run"), read_metrics(two_processes[0] / name)
    assert [list(row) for row in one] == [list(row) for row in both]
    for row, other in zip(one, both, strict=True):
        assert other == pytest.approx(row, rel=1e-4, abs=1e-5)
    expected = read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["state_dict"]
    for key, value in weights(two_processes, name)[0].items():
        torch.testing.assert_close(
            value, expected[key], rtol=1e-3, atol=1e-4, msg=lambda message, key=key: f"{key}: {message}"
        )


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both_after_the_same_step(two_processes: TwoProcesses) -> None:
    records = two_processes[1]
    assert [record["status"] for record in records] == [128 + signal.SIGTERM, 0]  # only rank 0 reports it
    assert [record["stopped_at"] for record in records] == [96, 96]
    assert [record["status_of_the_rest"] for record in records] == [0, 0]


@pytest.mark.slow
def test_a_stopped_run_of_two_processes_resumes_bitwise_equal(two_processes: TwoProcesses) -> None:
    assert_equal(weights(two_processes, "growing")[0], weights(two_processes, "stopped")[0])
    assert read_metrics(two_processes[0] / "growing") == read_metrics(two_processes[0] / "stopped")


@pytest.mark.slow
def test_processes_of_torchrun_agree_on_a_name(two_processes: TwoProcesses) -> None:
    assert len({name for record in two_processes[1] for name in record["launch"]}) == 1


def test_processes_of_slurm_agree_on_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_blocking_lock_waits_for_the_other_process(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "cache"):
        process = os.fork()
        if not process:
            with folder_lock(tmp_path / "cache"):
                (tmp_path / "entered").touch()
            os._exit(0)
        time.sleep(0.3)
        assert not (tmp_path / "entered").exists()
    os.waitpid(process, 0)
    assert (tmp_path / "entered").exists()


def test_an_unwritable_folder_is_not_locked(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    entered = False
    with folder_lock(tmp_path / "file"):
        entered = True
    assert entered


ON_TWO = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu"]


@pytest.mark.slow
def test_processes_of_lightning_share_a_folder_and_stop_together(tmp_path: Path) -> None:
    """`python train.py trainer=ddp`, stopped in the second stage."""
    with start(*TINY, *ON_TWO, f"paths.runs={tmp_path}", "name=ddp", "growth.images=[48,100000]") as process:
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
def test_a_signal_during_the_start_of_processes_ends_the_run(tmp_path: Path) -> None:
    """As when a job is cancelled early: all its processes receive the signal, and those still importing are killed."""
    spawned = [*TINY, *ON_TWO, "trainer=ddp_spawn", f"hydra.run.dir={tmp_path}/run"]
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
    """The command line of a process, empty if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


def test_ddp_in_a_sweep_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        execute(f"python train.py -m {' '.join(ON_TWO)} seed=1,2", tmp_path)
    assert "use trainer=ddp_spawn" in capfd.readouterr().err


def test_ddp_spawn_pickles_no_images(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images stay in the cache, and no object holds a lock, a terminal or an open file."""
    arguments = []
    monkeypatch.setattr(main, "fit", lambda *objects: arguments.append(objects))
    main.train(tiny(*ON_TWO, "trainer=ddp_spawn", "data.count=2000"))
    trainer, system, data, _ = arguments[0]
    assert "spawn" in trainer.strategy.launcher._start_method
    size = len(ForkingPickler.dumps((trainer, data)))
    assert size < data.source.train.images.nbytes, size
    ForkingPickler.dumps(system)


@pytest.mark.slow
def test_two_processes_evaluate_as_one(two_processes: TwoProcesses, tmp_path: Path) -> None:
    """During and after training, with 80 images in two blocks; bitwise equal."""
    run = two_processes[0] / "dcgan"
    assert [row["images_seen"] for row in read_metrics(run) if "quality/kernel_distance_tiny" in row] == [32, 64, 96]
    assert (run / "checkpoints/best.ckpt").exists()
    features = ["features._target_=fixtures.toy.TinyFeatures", "~features.resolution"]
    settings = ["evaluation=default", "evaluation.count=80", "evaluation.text_alignment={}"]
    evaluate(str(run / "checkpoints/last.ckpt"), [*features, *settings], tmp_path)
    one, two = (json.loads(file.read_text())["figures"] for file in (tmp_path / "report.json", run / "evaluation.json"))
    assert len(one) > 5
    assert one == two


def test_only_one_run_may_train_in_a_folder(tmp_path: Path) -> None:
    with (
        exclusive_run(tmp_path / "run"),
        pytest.raises(UserError, match="Another process is training in"),
        exclusive_run(tmp_path / "run"),
    ):
        pass
    with exclusive_run(tmp_path / "run"):  # the lock is released
        pass
