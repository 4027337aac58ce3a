"""`aten.logsumexp`: logarithm of the sum of exponentials over dimensions"""

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
    tl.store(y + row, top + tl.log(tl.where(tl.abs(top) == float("inf"), 1.0, whole)))


def logsumexp_kernel_impl(self, dim, keepdim=False):
    """The operator, by its own kernel."""
    if not self.dtype.is_floating_point:
        raise NotImplementedError("this kernel takes floating-point numbers")
    kind = tl.float64 if self.dtype == torch.float64 else tl.float32
    every = list(range(self.dim()))
    dims = {d % max(1, self.dim()) for d in ([dim] if isinstance(dim, int) else dim or every)} & set(every)
    kept = [d for d in every if d not in dims]
    shape = [1 if d in dims else self.shape[d] for d in every] if keepdim else [self.shape[d] for d in kept]
    y = torch.empty(shape, dtype=self.dtype, device=self.device)
    if y.numel() == 0:
        return y
    x = self.permute([*kept, *sorted(dims)]).contiguous()
    n = x.numel() // y.numel()
    rows_kernel[(y.numel(),)](x, y, n, KIND=kind, BLOCK=min(4096, triton.next_power_of_2(max(1, n))), num_warps=4)
    return y
