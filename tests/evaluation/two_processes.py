"""Evaluate in each process of a group and write the metrics to FOLDER/RANK.txt. PYTHONPATH must contain tests/."""

import sys
from pathlib import Path

import torch.distributed as dist
from evaluation.test_evaluator import evaluator
from fixtures.toy import ToyDataset, ToyGenerator, conditioner

if __name__ == "__main__":
    dist.init_process_group("gloo")
    folder = Path(sys.argv[1])
    metrics = evaluator(folder / "cache")(ToyGenerator(), ToyDataset(), conditioner()).flat()
    (folder / f"{dist.get_rank()}.txt").write_text(repr(metrics))
    dist.barrier()
    dist.destroy_process_group()
