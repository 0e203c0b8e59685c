"""CUDA's autocast on a CPU: `torch.autocast("cpu")` casts as it does on a GPU, composite and backward ops included.

The rules are registered where PyTorch has its own, at the dispatcher's key of the CPU's autocast, above autograd. The
operators' names are read from a header of the installed PyTorch, which registers CUDA's by it. So an op that is given
float32 and bfloat16 by these rules raises here what it raises on a GPU.

`python tests/cuda_autocast.py train.py ...` runs a script so.
"""

import re
import runpy
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

KEY = "AutocastCPU"
HEADER = Path(torch.__file__).parent / "include/ATen/autocast_mode.h"
CUDNN = {"aten::lstm.input", "aten::lstm.data"}
"""On a GPU their kernel is cuDNN's, which autocast gives lower precision."""


def operators(rule: str) -> set[str]:
    """The operators to which CUDA's autocast applies a rule, such as "FP32": {"aten::exp", "aten::pow.Scalar", ...}."""
    (listed,) = re.findall(rf"#define AT_FORALL_{rule}\(_\)((?:.*\\\n)*.*)", HEADER.read_text())
    quoted = re.findall(r'"([\w.]+)"', listed)  # where a rule redispatches to another signature
    names = quoted or [".".join(name.split(", ")) for name in re.findall(r"_\((\w+(?:, \w+)?)\)", listed)]
    assert names, f"{HEADER} lists no operators for {rule}"
    return {f"aten::{name}" for name in names}


def is_cast(value: Any) -> bool:
    """Whether autocast may cast it: float64 and integers stay as they are."""
    return isinstance(value, Tensor) and value.is_floating_point() and value.dtype != torch.float64


def cast(values: Any, dtype: torch.dtype) -> Any:
    return tree_map(lambda value: value.to(dtype) if is_cast(value) else value, values)


def lower_precision(op: Any, args: Any, kwargs: Any) -> Any:
    dtype = torch.get_autocast_dtype("cpu")
    return op(*cast(args, dtype), **cast(kwargs, dtype))


def float32(op: Any, args: Any, kwargs: Any) -> Any:
    return op(*cast(args, torch.float32), **cast(kwargs, torch.float32))


def by_name(op: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """All arguments by the names that the operator's schema gives them."""
    return {argument.name: value for argument, value in zip(op._schema.arguments, args, strict=False)} | kwargs


def float32_result(op: Any, args: Any, kwargs: Any) -> Any:
    """Inputs stay as they are, unless the caller asks for another type of the result."""
    named = by_name(op, args, kwargs)
    if is_cast(args[0]) and named.get("dtype") is None:
        named["dtype"] = torch.float32
    return op(**named)


def float32_norm(op: Any, args: Any, kwargs: Any) -> Any:
    if not is_cast(args[0]):
        return op(*args, **kwargs)
    named = {"p": 2, "dim": [], "keepdim": False, **by_name(op, args, kwargs)}
    return torch.ops.aten.norm.ScalarOpt_dim_dtype(**named, dtype=torch.float32)


def widest(op: Any, args: Any, kwargs: Any) -> Any:
    types = [value.dtype for value in tree_leaves((args, kwargs)) if is_cast(value)]
    dtype = torch.float32 if torch.float32 in types else torch.get_autocast_dtype("cpu")
    return op(*cast(args, dtype), **cast(kwargs, dtype))


def banned(op: Any, args: Any, kwargs: Any) -> Any:
    raise RuntimeError(f"{op} is unsafe to autocast")


RULES: dict[str, Callable[..., Any]] = {
    "LOWER_PRECISION_FP": lower_precision,
    "FP32": float32,
    "FP32_SET_OPT_DTYPE": float32_result,
    "DIFFERENT_REDISPATCH_SIGNATURE": float32_norm,
    "PROMOTE": widest,
}


def kernel(rule: Callable[..., Any], name: str) -> Callable[..., Any]:
    packet, _, overload = name.removeprefix("aten::").partition(".")
    op = getattr(getattr(torch.ops.aten, packet), overload or "default")

    def apply(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU)):
            return rule(op, args, kwargs)

    return apply


@contextmanager
def cuda_autocast() -> Iterator[None]:
    """In it, `torch.autocast("cpu")` follows CUDA's rules, in the whole process."""
    rules = {name: rule for key, rule in RULES.items() for name in operators(key)}
    rules |= dict.fromkeys(CUDNN, lower_precision) | {"aten::binary_cross_entropy": banned}
    registered = torch._C._dispatch_get_registrations_for_dispatch_key(KEY)
    of_cpu = {name for name in registered if name.startswith("aten::")}  # not other packages' operators
    library = torch.library.Library("aten", "IMPL", KEY)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"(?s).*Overriding a previously registered kernel.*")
            for name in of_cpu - rules.keys():
                library.impl(name.removeprefix("aten::"), torch.library.fallthrough_kernel, allow_override=True)
            for name, rule in rules.items():
                if rule is not lower_precision or name not in of_cpu:  # the CPU's own also keeps what it has cast
                    library.impl(name.removeprefix("aten::"), kernel(rule, name), allow_override=True)
        yield
    finally:
        library._destroy()


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    with cuda_autocast():
        runpy.run_path(sys.argv[0], run_name="__main__")
