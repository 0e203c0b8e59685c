import os
import signal
import sys
import threading
import time
from collections.abc import Callable

import pytest
import pytorch_lightning as pl
from omegaconf import DictConfig

from t2f.utils.signals import SIGNALS, StopRequest, exit_on_signals, leave_signals_to_the_parent, reraise_signal
from train import train

sys.modules["test_stopping"] = sys.modules[__name__]  # for a config to name the callback below


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_block_with_its_status(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended, exit_on_signals():
        signal.raise_signal(number)
    assert ended.value.code == 128 + number
    assert capsys.readouterr().err == f"Stopped by {signal.Signals(number).name}.\n"
    assert signal.getsignal(number) == before


def test_who_listens_already_is_left_to_it() -> None:
    """A launcher that starts a job again when the cluster warns, for one."""
    heard = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    try:
        request = StopRequest()
        request.listen()
        signal.raise_signal(signal.SIGUSR2)
        assert (request.number, heard) == (signal.SIGUSR2, [])
        request.ignore()
        # Told, and yet no job that ended well.
        with pytest.raises(SystemExit) as ended, exit_on_signals():
            reraise_signal(request.number, is_global_zero=True)
        assert ended.value.code == 128 + signal.SIGUSR2
        assert heard == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_what_a_shell_has_ignored_stays_ignored() -> None:
    """Ctrl-C, for a job that a script started in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        request = StopRequest()
        request.listen()
        signal.raise_signal(signal.SIGINT)
        assert request.number is None
        request.ignore()
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_first_signal_is_noted_and_the_second_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    passed_on: list[int] = []
    with exit_on_signals():
        request = StopRequest()
        request.listen(passed_on.append)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # at once: a launcher has sent on what the terminal sent
        assert (request.number, passed_on) == (signal.SIGTERM, [signal.SIGTERM])
        monkeypatch.setattr("t2f.utils.signals.SECONDS_OF_ONE_SIGNAL", 0.0)
        with pytest.raises(SystemExit) as ended:
            signal.raise_signal(signal.SIGINT)
        assert ended.value.code == 130


def test_a_process_that_is_not_the_first_ends_well() -> None:
    """Launchers take another failure for a crash, and kill what still saves."""
    with pytest.raises(SystemExit) as ended:
        reraise_signal(signal.SIGTERM, is_global_zero=False)
    assert ended.value.code == 0


def test_a_process_that_reads_data_outlives_its_parents_last_step_and_not_its_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("t2f.utils.signals.SECONDS_OF_A_LAST_STEP", 1)
    process = os.fork()
    if not process:
        leave_signals_to_the_parent(0)
        for number in SIGNALS:
            signal.raise_signal(number)
        time.sleep(100)
        os._exit(0)
    start = time.monotonic()
    ended_by = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert ended_by == -signal.SIGALRM
    assert time.monotonic() - start > 0.9


class TwoSignals(pl.Callback):
    """SIGTERM to this process after 56 images, twice before the next step."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: object) -> None:
        if pl_module.images_seen == 56:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)


def test_lightnings_handler_is_not_met_by_a_second_signal(
    tiny: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wait for the other processes, which may wait for this one."""
    met = []
    monkeypatch.setattr("t2f.utils.signals.SECONDS_OF_ONE_SIGNAL", -1.0)
    monkeypatch.setattr(
        "pytorch_lightning.trainer.connectors.signal_connector._SignalConnector._sigterm_notifier_fn",
        lambda *received: met.append(received),
    )
    with pytest.raises(SystemExit) as ended, exit_on_signals():
        train(tiny("+callbacks.signals={_target_: test_stopping.TwoSignals}"))
    assert ended.value.code == 128 + signal.SIGTERM
    assert not met


def test_a_thread_that_cannot_listen_trains_all_the_same() -> None:
    request = StopRequest()

    def run() -> None:
        with exit_on_signals():
            request.listen()
            request.ignore()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert request.number is None
