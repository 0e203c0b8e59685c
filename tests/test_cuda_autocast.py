"""The emulation of CUDA's autocast in tests/fixtures."""

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
    "requested": (lambda x: x.sum(dim=1, dtype=torch.float64), torch.float64),
}


def output_dtype(case: str, device: str) -> torch.dtype:
    function, _ = CASES[case]
    with torch.autocast(device, torch.bfloat16):
        return function(torch.ones(2, 2, 3, 3, dtype=torch.bfloat16, device=device)).dtype


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_output_dtypes_are_those_of_cuda(case: str, device: str) -> None:
    with cuda_autocast() if device == "cpu" else nullcontext():
        assert output_dtype(case, device) == CASES[case][1]


def test_second_derivatives_follow_the_rules() -> None:
    with cuda_autocast(), torch.autocast("cpu", torch.bfloat16):
        x = torch.rand(3).requires_grad_(True)
        (first,) = torch.autograd.grad(x.bfloat16().square().rsqrt().sum(), x, create_graph=True)
        first.square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_lerp_of_two_dtypes_raises_the_error_of_a_gpu() -> None:
    with cuda_autocast(), torch.autocast("cpu", torch.bfloat16):
        x = torch.ones(1, 1, 2, 2)
        new = F.conv2d(x, x[..., :1, :1])
        with pytest.raises(RuntimeError, match="expected dtype float for `end` but got dtype c10::BFloat16"):
            torch.lerp(F.interpolate(new, scale_factor=1.0), new, 0.5)


def test_the_rules_of_the_cpu_are_restored() -> None:
    before = {case: output_dtype(case, "cpu") for case in CASES}
    with cuda_autocast():
        assert output_dtype("square", "cpu") == torch.float32
    assert {case: output_dtype(case, "cpu") for case in CASES} == before
    assert before["square"] == torch.bfloat16


def test_there_is_no_effect_outside_autocast() -> None:
    with cuda_autocast():
        assert torch.ones(2, dtype=torch.bfloat16).square().dtype == torch.bfloat16


def test_each_rule_has_operators() -> None:
    assert "aten::conv2d" in operators("LOWER_PRECISION_FP")
    assert {"aten::rsqrt", "aten::pow.Tensor_Scalar", "aten::upsample_nearest2d"} < operators("FP32")
    assert {"aten::sum", "aten::sum.dim_IntList"} < operators("FP32_SET_OPT_DTYPE")
    assert operators("DIFFERENT_REDISPATCH_SIGNATURE") == {"aten::norm.Scalar", "aten::norm.ScalarOpt_dim"}
    assert "aten::addcmul" in operators("PROMOTE")
