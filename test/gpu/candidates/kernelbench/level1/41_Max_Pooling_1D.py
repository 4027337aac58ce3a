"""Maximum of windows of a row, without indices."""

import torch
import triton
import triton.language as tl


@triton.jit
def pool_kernel(x, y, length, out_length, stride, padding, dilation, WINDOW: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    best = tl.full((BLOCK,), -float("inf"), dtype=tl.float32)
    for k in tl.static_range(WINDOW):
        place = at * stride - padding + k * dilation
        live = (place >= 0) & (place < length) & (at < out_length)
        value = tl.load(x + row * length + place, mask=live, other=-float("inf"))
        best = tl.maximum(best, value, propagate_nan=tl.PropagateNan.ALL)
    tl.store(y + row * out_length + at, best, mask=at < out_length)


class ModelNew(torch.nn.Module):
    """See the module."""

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False):
        super().__init__()
        if return_indices:
            raise NotImplementedError("this kernel makes no indices")
        self.window, self.stride, self.padding, self.dilation = kernel_size, stride or kernel_size, padding, dilation

    def forward(self, x):
        x = x.contiguous()
        length = x.shape[-1]
        out_length = (length + 2 * self.padding - self.dilation * (self.window - 1) - 1) // self.stride + 1
        y = torch.empty((*x.shape[:-1], out_length), dtype=x.dtype, device=x.device)
        pool_kernel[(x.numel() // length, triton.cdiv(out_length, 2048))](
            x, y, length, out_length, self.stride, self.padding, self.dilation, WINDOW=self.window, BLOCK=2048, num_warps=8
        )  # fmt: skip
        return y
