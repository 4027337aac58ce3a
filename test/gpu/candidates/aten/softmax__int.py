"""`aten.softmax.int`: softmax over a dimension"""

import torch
import triton
import triton.language as tl


@triton.jit
def rows_kernel(x, y, n, KIND: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    lanes = tl.arange(0, BLOCK)
    peak = tl.full((BLOCK,), -float("inf"), dtype=KIND)
    acc = tl.zeros((BLOCK,), dtype=KIND)
    for start in range(0, n, BLOCK):
        value = tl.load(x + row * n + start + lanes, mask=start + lanes < n, other=-float("inf")).to(KIND)
        higher = tl.maximum(peak, value, propagate_nan=tl.PropagateNan.ALL)
        # A lane that has seen nothing finite has nothing to scale.
        safe = tl.where(tl.abs(higher) == float("inf"), 0.0, higher)
        acc = acc * tl.exp(peak - safe) + tl.exp(value - safe)
        peak = higher
    top = tl.max(peak, axis=0)
    safe = tl.where(tl.abs(top) == float("inf"), 0.0, top)
    whole = tl.sum(acc * tl.exp(tl.where(tl.abs(peak) == float("inf"), 0.0, peak) - safe), axis=0)
    for start in range(0, n, BLOCK):
        live = start + lanes < n
        value = tl.load(x + row * n + start + lanes, mask=live, other=0.0).to(KIND)
        tl.store(y + row * n + start + lanes, tl.exp(value - top) / whole, mask=live)


def softmax__int_kernel_impl(self, dim, dtype=None):
    """The operator, by its own kernel."""
    dtype = dtype or self.dtype
    if not dtype.is_floating_point:
        raise NotImplementedError("this kernel takes floating-point numbers")
    kind = tl.float64 if dtype == torch.float64 else tl.float32
    x = (self.reshape(1) if self.dim() == 0 else self).movedim(dim, -1).to(dtype).contiguous()
    y = torch.empty_like(x)
    if x.numel():
        n = x.shape[-1]
        rows_kernel[(x.numel() // n,)](x, y, n, KIND=kind, BLOCK=min(4096, triton.next_power_of_2(n)), num_warps=4)
    y = y.movedim(-1, dim).contiguous()
    return y.reshape(self.shape)
