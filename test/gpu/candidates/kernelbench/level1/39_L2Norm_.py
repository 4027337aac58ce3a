"""Rows over their norms; the second reading finds them in the cache."""

import torch
import triton
import triton.language as tl


@triton.jit
def norm_kernel(x, y, n, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    lanes = tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, n, BLOCK):
        value = tl.load(x + row * n + start + lanes, mask=start + lanes < n, other=0.0, eviction_policy="evict_last")
        acc += value * value
    norm = tl.sqrt(tl.sum(acc, axis=0))
    for start in range(0, n, BLOCK):
        live = start + lanes < n
        value = tl.load(x + row * n + start + lanes, mask=live, other=0.0, eviction_policy="evict_first")
        tl.store(y + row * n + start + lanes, value / norm, mask=live)


class ModelNew(torch.nn.Module):
    """See the module."""

    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        n = x.shape[1]
        # 32 warps: one or two rows at a time on a multiprocessor, so that all rows in work fit in the second level of cache.
        norm_kernel[(x.shape[0],)](x, y, n, BLOCK=min(8192, triton.next_power_of_2(n)), num_warps=32)
        return y
