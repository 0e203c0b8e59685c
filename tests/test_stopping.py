import signal
import threading

import pytest

from t2f.stopping import SIGNALS, StopRequest, exit_on_signals, stop_as_told


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
            stop_as_told(request.number, is_global_zero=True)
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
        monkeypatch.setattr("t2f.stopping.SECONDS_OF_ONE_SIGNAL", 0.0)
        with pytest.raises(SystemExit) as ended:
            signal.raise_signal(signal.SIGINT)
        assert ended.value.code == 130


def test_a_process_that_is_not_the_first_ends_well() -> None:
    """Launchers take another failure for a crash, and kill what still saves."""
    with pytest.raises(SystemExit) as ended:
        stop_as_told(signal.SIGTERM, is_global_zero=False)
    assert ended.value.code == 0


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
