"""Running sums of the elements that a mask keeps."""

import torch
import triton
import triton.language as tl


@triton.jit
def scan_kernel(x, mask, y, n, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    lanes = tl.arange(0, BLOCK)
    carry = 0.0
    for start in range(0, n, BLOCK):
        at = start + lanes
        value = tl.load(x + row * n + at, mask=at < n, other=0.0)
        kept = tl.load(mask + row * n + at, mask=at < n, other=0)
        sums = tl.cumsum(value * kept.to(tl.float32), axis=0) + carry
        tl.store(y + row * n + at, sums, mask=at < n)
        carry = tl.sum(tl.where(lanes == BLOCK - 1, sums, 0.0), axis=0)


class ModelNew(torch.nn.Module):
    """See the module."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, x, mask):
        x = x.movedim(self.dim, -1).contiguous()
        mask = mask.movedim(self.dim, -1).contiguous()
        y = torch.empty_like(x)
        n = x.shape[-1]
        block = min(4096, triton.next_power_of_2(n))
        scan_kernel[(x.numel() // n,)](x, mask, y, n, BLOCK=block, num_warps=8)
        return y.movedim(-1, self.dim)
