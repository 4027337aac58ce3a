"""Mean of windows of a row; the padding counts as zeros."""

import torch
import triton
import triton.language as tl


@triton.jit
def pool_kernel(x, y, length, out_length, stride, padding, WINDOW: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK,), dtype=tl.float32)
    for k in tl.static_range(WINDOW):
        place = at * stride - padding + k
        live = (place >= 0) & (place < length) & (at < out_length)
        acc += tl.load(x + row * length + place, mask=live, other=0.0)
    tl.store(y + row * out_length + at, acc / WINDOW, mask=at < out_length)


class ModelNew(torch.nn.Module):
    """See the module."""

    def __init__(self, kernel_size, stride=1, padding=0):
        super().__init__()
        self.window, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x):
        x = x.contiguous()
        length = x.shape[-1]
        out_length = (length + 2 * self.padding - self.window) // self.stride + 1
        y = torch.empty((*x.shape[:-1], out_length), dtype=x.dtype, device=x.device)
        pool_kernel[(x.numel() // length, triton.cdiv(out_length, 2048))](
            x, y, length, out_length, self.stride, self.padding, WINDOW=self.window, BLOCK=2048, num_warps=8
        )  # fmt: skip
        return y
