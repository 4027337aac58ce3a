"""Softplus in one pass, linear above 20."""

import torch
import triton
import triton.language as tl


@triton.jit
def function(x):
    return tl.where(x > 20.0, x, tl.maximum(x, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(x))))


# shared: map


@triton.jit
def map_kernel(x, y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + at, mask=at < n, other=0.0)
    tl.store(y + at, function(value), mask=at < n)


def apply(x):
    """`function` of every element."""
    x = x.contiguous()
    y = torch.empty_like(x)
    block = 4096
    map_kernel[(triton.cdiv(x.numel(), block),)](x, y, x.numel(), BLOCK=block, num_warps=8)
    return y


# end of map


class ModelNew(torch.nn.Module):
    """See the module."""

    def forward(self, x):
        return apply(x)
