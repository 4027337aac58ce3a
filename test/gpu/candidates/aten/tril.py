"""`aten.tril`: a triangle of matrices, zeros elsewhere"""

import torch
import triton
import triton.language as tl


@triton.jit
def triangle_kernel(x, y, n, height, width, diagonal, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    kept = at % width - at // width % height <= diagonal
    tl.store(y + at, tl.load(x + at, mask=(at < n) & kept, other=0), mask=at < n)


def tril_kernel_impl(self, diagonal=0):
    """The operator, by its own kernel."""
    x = self.contiguous()
    y = torch.empty_like(x)
    if x.numel():
        height, width = x.shape[-2:]
        triangle_kernel[(triton.cdiv(x.numel(), 1024),)](x, y, x.numel(), height, width, diagonal, BLOCK=1024, num_warps=4)
    return y
