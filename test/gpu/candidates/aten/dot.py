"""`aten.dot`: sum of products"""

import torch
import triton
import triton.language as tl


@triton.jit
def dot_kernel(a, b, parts, n, sa, sb, BLOCK: tl.constexpr):
    lanes = tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(tl.program_id(0) * BLOCK, n, tl.num_programs(0) * BLOCK):
        at = (start + lanes).to(tl.int64)
        x = tl.load(a + at * sa, mask=at < n, other=0).to(tl.float32)
        acc += x * tl.load(b + at * sb, mask=at < n, other=0).to(tl.float32)
    tl.store(parts + tl.program_id(0), tl.sum(acc, axis=0))


@triton.jit
def sum_kernel(parts, out, n, BLOCK: tl.constexpr):
    lanes = tl.arange(0, BLOCK)
    tl.store(out, tl.sum(tl.load(parts + lanes, mask=lanes < n, other=0.0), axis=0))


def dot_kernel_impl(self, tensor):
    """The operator, by its own kernel."""
    if self.dtype not in (torch.float16, torch.bfloat16, torch.float32):
        raise NotImplementedError(f"this kernel adds in float32, not in {self.dtype}")
    count = max(1, min(512, triton.cdiv(self.numel(), 4096)))
    parts = torch.empty((count,), dtype=torch.float32, device=self.device)
    out = torch.empty((), dtype=self.dtype, device=self.device)
    dot_kernel[(count,)](self, tensor, parts, self.numel(), self.stride(0), tensor.stride(0), BLOCK=1024, num_warps=4)
    sum_kernel[(1,)](parts, out, count, BLOCK=512, num_warps=4)
    return out
