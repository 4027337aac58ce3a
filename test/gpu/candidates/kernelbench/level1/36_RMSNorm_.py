"""RMS norm over channels: a tile of all channels and some places is read once and stays in registers."""

import torch
import triton
import triton.language as tl


@triton.jit
def rms_kernel(x, y, channels, plane, eps, CHANNELS: tl.constexpr, BLOCK: tl.constexpr):
    image = tl.program_id(1).to(tl.int64)
    c = tl.arange(0, CHANNELS)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = image * channels * plane + c.to(tl.int64)[:, None] * plane + at[None, :]
    live = (c < channels)[:, None] & (at < plane)[None, :]
    value = tl.load(x + here, mask=live, other=0.0)
    root = tl.sqrt(tl.sum(value * value, axis=0) / channels + eps)
    tl.store(y + here, value / root[None, :], mask=live)


class ModelNew(torch.nn.Module):
    """See the module."""

    def __init__(self, num_features, eps=1e-5):
        super().__init__()
        self.num_features = num_features
        self.eps = eps

    def forward(self, x):
        x = x.contiguous()
        channels, plane = x.shape[1], x[0, 0].numel()
        y = torch.empty_like(x)
        rms_kernel[(triton.cdiv(plane, 128), x.shape[0])](
            x, y, channels, plane, self.eps, CHANNELS=triton.next_power_of_2(channels), BLOCK=128, num_warps=8
        )  # fmt: skip
        return y
