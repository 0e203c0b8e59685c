"""What each of two processes finds, written to FOLDER/RANK.txt. PYTHONPATH leads to the tests."""

import sys
from pathlib import Path

import torch.distributed as dist
from evaluation.test_evaluator import evaluation
from fixtures.made_up import Colors, MadeUp, conditioner

if __name__ == "__main__":
    dist.init_process_group("gloo")
    folder = Path(sys.argv[1])
    found = evaluation(folder / "cache")(Colors(), MadeUp(), conditioner()).flat()
    (folder / f"{dist.get_rank()}.txt").write_text(repr(found))
    dist.barrier()
    dist.destroy_process_group()
