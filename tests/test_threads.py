"""The OpenMP wait policy, which the runtime prints when torch loads it."""

import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

TRAIN = ["train.py", "--help"]
STARTS = {
    "import t2f": ["-c", "import t2f, torch"],
    "t2f's command line": ["-c", "from t2f.cli.app import run; from t2f.cli.generate import generate"],
    "train.py": TRAIN,
    "the tests": ["-m", "pytest", "--numprocesses=0", "--capture=no", "--collect-only", "tests/utils/test_files.py"],
    "a child process": ["-c", "import t2f, subprocess, sys; subprocess.run([sys.executable, '-c', 'import torch'])"],
}


def policies(arguments: list[str], **own: str) -> set[str]:
    """Return the policy, ACTIVE or PASSIVE, of each OpenMP runtime that Python loads with these arguments."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    process = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**environment, "OMP_DISPLAY_ENV": "true", **own},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"OMP_WAIT_POLICY ?= ?'(\w+)'", process.stderr))


@pytest.mark.parametrize("arguments", STARTS.values(), ids=STARTS)
def test_the_policy_is_passive(arguments: list[str]) -> None:
    assert policies(arguments) == {"PASSIVE"}


def test_users_can_set_the_policy() -> None:
    assert policies(TRAIN, OMP_WAIT_POLICY="active") == {"ACTIVE"}
