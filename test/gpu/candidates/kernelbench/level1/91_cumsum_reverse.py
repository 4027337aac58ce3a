"""Sums from the end of rows, read and written backwards instead of flipped."""

import torch
import triton
import triton.language as tl


@triton.jit
def scan_kernel(x, y, n, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    lanes = tl.arange(0, BLOCK)
    carry = 0.0
    for start in range(0, n, BLOCK):
        at = n - 1 - start - lanes
        value = tl.load(x + row * n + at, mask=at >= 0, other=0.0)
        sums = tl.cumsum(value, axis=0) + carry
        tl.store(y + row * n + at, sums, mask=at >= 0)
        carry = tl.sum(tl.where(lanes == BLOCK - 1, sums, 0.0), axis=0)


class ModelNew(torch.nn.Module):
    """See the module."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        x = x.movedim(self.dim, -1).contiguous()
        y = torch.empty_like(x)
        n = x.shape[-1]
        block = min(4096, triton.next_power_of_2(n))
        scan_kernel[(x.numel() // n,)](x, y, n, BLOCK=block, num_warps=8)
        return y.movedim(-1, self.dim)
