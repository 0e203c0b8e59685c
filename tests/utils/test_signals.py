import os
import signal
import threading
import time
from collections.abc import Callable

import pytest
import pytorch_lightning as pl
from omegaconf import DictConfig

from t2f.cli.train import train
from t2f.utils.signals import SIGNALS, StopRequest, exit_on_signals, ignore_signals_in_worker, reraise_signal


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_exits_with_its_status(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    previous = signal.getsignal(number)
    with pytest.raises(SystemExit) as exit_info, exit_on_signals():
        signal.raise_signal(number)
    assert exit_info.value.code == 128 + number
    assert capsys.readouterr().err == f"Stopped by {signal.Signals(number).name}.\n"
    assert signal.getsignal(number) == previous


def test_the_previous_handler_receives_the_raised_signal() -> None:
    """A launcher's handler restarts a job when the cluster sends a warning."""
    received = []
    previous = signal.signal(signal.SIGUSR2, lambda number, frame: received.append(number))
    try:
        request = StopRequest()
        request.listen()
        signal.raise_signal(signal.SIGUSR2)
        assert (request.number, received) == (signal.SIGUSR2, [])
        request.restore()
        # The handler returns, but the exit status still says that the run is unfinished.
        with pytest.raises(SystemExit) as exit_info, exit_on_signals():
            reraise_signal(request.number, is_global_zero=True)
        assert exit_info.value.code == 128 + signal.SIGUSR2
        assert received == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, previous)


def test_ignored_signals_stay_ignored() -> None:
    """A script ignores Ctrl-C for its jobs in the background."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        request = StopRequest()
        request.listen()
        signal.raise_signal(signal.SIGINT)
        assert request.number is None
        request.restore()
    finally:
        signal.signal(signal.SIGINT, previous)


def test_the_first_signal_is_recorded_and_the_second_exits(monkeypatch: pytest.MonkeyPatch) -> None:
    forwarded: list[int] = []
    with exit_on_signals():
        request = StopRequest()
        request.listen(forwarded.append)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # a repetition by a launcher
        assert (request.number, forwarded) == (signal.SIGTERM, [signal.SIGTERM])
        monkeypatch.setattr("t2f.utils.signals.REPEAT_SECONDS", 0.0)
        with pytest.raises(SystemExit) as exit_info:
            signal.raise_signal(signal.SIGINT)
        assert exit_info.value.code == 130


def test_other_ranks_exit_with_status_zero() -> None:
    """Launchers treat another failure as a crash, and kill the processes that are still saving."""
    with pytest.raises(SystemExit) as exit_info:
        reraise_signal(signal.SIGTERM, is_global_zero=False)
    assert exit_info.value.code == 0


def test_a_worker_survives_signals_until_the_last_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("t2f.utils.signals.LAST_STEP_SECONDS", 1)
    process = os.fork()
    if not process:
        ignore_signals_in_worker(0)
        for number in SIGNALS:
            signal.raise_signal(number)
        time.sleep(100)
        os._exit(0)
    start = time.monotonic()
    exit_code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert exit_code == -signal.SIGALRM
    assert time.monotonic() - start > 0.9


class TwoSignals(pl.Callback):
    """Raise SIGTERM twice after 56 images, before the next step."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: object) -> None:
        if pl_module.images_seen == 56:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)


def test_a_second_signal_does_not_call_the_handler_of_lightning(
    tiny: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That handler waits for the other processes, which may wait for this one."""
    calls = []
    monkeypatch.setattr("t2f.utils.signals.REPEAT_SECONDS", -1.0)
    monkeypatch.setattr(
        "pytorch_lightning.trainer.connectors.signal_connector._SignalConnector._sigterm_notifier_fn",
        lambda *arguments: calls.append(arguments),
    )
    with pytest.raises(SystemExit) as exit_info, exit_on_signals():
        train(tiny("+callbacks.signals={_target_: utils.test_signals.TwoSignals}"))
    assert exit_info.value.code == 128 + signal.SIGTERM
    assert not calls


def test_other_threads_install_no_handlers() -> None:
    request = StopRequest()

    def run() -> None:
        with exit_on_signals():
            request.listen()
            request.restore()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert request.number is None
