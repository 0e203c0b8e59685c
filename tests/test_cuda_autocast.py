"""The emulation of CUDA's autocast: it casts by CUDA's rules, and leaves no trace."""

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from fixtures.cuda_autocast import cuda_autocast, operators
from torch import Tensor

CASES = {
    "conv2d": (lambda x: F.conv2d(x.float(), torch.ones(2, 2, 1, 1, device=x.device)), torch.bfloat16),
    "matmul": (lambda x: x.float() @ x.float(), torch.bfloat16),
    "lstm": (lambda x: torch.nn.LSTM(3, 3, device=x.device)(x[0].float())[0], torch.bfloat16),
    "mean": (Tensor.mean, torch.bfloat16),
    "sqrt": (Tensor.sqrt, torch.bfloat16),
    "square": (Tensor.square, torch.float32),  # a composite of pow
    "power": (lambda x: 2**x, torch.float32),
    "reciprocal": (lambda x: 1 / x, torch.float32),
    "rsqrt": (Tensor.rsqrt, torch.float32),
    "nearest": (lambda x: F.interpolate(x, scale_factor=2.0), torch.float32),
    "bilinear": (lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear"), torch.float32),
    "sum": (lambda x: x.sum(dim=1), torch.float32),
    "norm": (Tensor.norm, torch.float32),
    "norm of rows": (lambda x: x.norm(2, dim=1), torch.float32),
    "normalize": (F.normalize, torch.float32),
    "softmax": (lambda x: x.softmax(1), torch.float32),
    "softplus": (F.softplus, torch.float32),
    "cross_entropy": (lambda x: F.cross_entropy(x.flatten(1), x.new_zeros(2).long()), torch.float32),
    "cat": (lambda x: torch.cat([x, x.float()]), torch.float32),
    "addcmul": (lambda x: torch.addcmul(x.float(), x, x), torch.float32),
    "float64": (lambda x: x.double().exp(), torch.float64),
    "asked for": (lambda x: x.sum(dim=1, dtype=torch.float64), torch.float64),
}


def made_by(case: str, device: str) -> torch.dtype:
    function, _ = CASES[case]
    with torch.autocast(device, torch.bfloat16):
        return function(torch.ones(2, 2, 3, 3, dtype=torch.bfloat16, device=device)).dtype


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_types_are_those_of_cuda(case: str, device: str) -> None:
    with cuda_autocast() if device == "cpu" else nullcontext():
        assert made_by(case, device) == CASES[case][1]


def test_it_reaches_second_derivatives() -> None:
    with cuda_autocast(), torch.autocast("cpu", torch.bfloat16):
        x = torch.rand(3).requires_grad_(True)
        (first,) = torch.autograd.grad(x.bfloat16().square().rsqrt().sum(), x, create_graph=True)
        first.square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_lerp_of_two_types_raises_what_it_raises_on_a_gpu() -> None:
    with cuda_autocast(), torch.autocast("cpu", torch.bfloat16):
        x = torch.ones(1, 1, 2, 2)
        new = F.conv2d(x, x[..., :1, :1])
        with pytest.raises(RuntimeError, match="expected dtype float for `end` but got dtype c10::BFloat16"):
            torch.lerp(F.interpolate(new, scale_factor=1.0), new, 0.5)


def test_the_cpus_own_rules_are_back_afterwards() -> None:
    before = {case: made_by(case, "cpu") for case in CASES}
    with cuda_autocast():
        assert made_by("square", "cpu") == torch.float32
    assert {case: made_by(case, "cpu") for case in CASES} == before
    assert before["square"] == torch.bfloat16


def test_outside_of_autocast_nothing_changes() -> None:
    with cuda_autocast():
        assert torch.ones(2, dtype=torch.bfloat16).square().dtype == torch.bfloat16


def test_every_rule_is_of_operators_that_there_are() -> None:
    assert "aten::conv2d" in operators("LOWER_PRECISION_FP")
    assert {"aten::rsqrt", "aten::pow.Tensor_Scalar", "aten::upsample_nearest2d"} < operators("FP32")
    assert {"aten::sum", "aten::sum.dim_IntList"} < operators("FP32_SET_OPT_DTYPE")
    assert operators("DIFFERENT_REDISPATCH_SIGNATURE") == {"aten::norm.Scalar", "aten::norm.ScalarOpt_dim"}
    assert "aten::addcmul" in operators("PROMOTE")
