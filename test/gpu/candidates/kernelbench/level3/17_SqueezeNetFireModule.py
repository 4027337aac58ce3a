"""A fire module as one kernel. What the squeezing layer gives is computed for all nine neighbours of each place; both expanding
layers are then one product, whose matrix has the weights of the single places in the columns of the middle neighbour."""

import torch
import triton
import triton.language as tl


@triton.jit
def fire_kernel(
    x, y, squeeze, squeeze_bias, one, one_bias, three, three_bias, height, width, C, S, E1, E3,
    TAPS: tl.constexpr, OUT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    image, plane = tl.program_id(1).to(tl.int64), height * width
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    # A row of the matrix of neighbours: a channel of the squeezing layer at one of nine places.
    r = tl.arange(0, TAPS)
    channel, tap = r % S, r // S
    row = (at // width)[None, :] + (tap // 3 - 1)[:, None]
    column = (at % width)[None, :] + (tap % 3 - 1)[:, None]
    real = (r < 9 * S)[:, None] & (at < plane)[None, :]
    live = real & (row >= 0) & (row < height) & (column >= 0) & (column < width)
    near = tl.zeros((TAPS, BLOCK), dtype=tl.float32) + tl.load(squeeze_bias + channel, mask=r < 9 * S, other=0.0)[:, None]
    for c in range(C):
        value = tl.load(x + (image * C + c) * plane + row * width + column, mask=live, other=0.0)
        near += tl.load(squeeze + channel * C + c, mask=r < 9 * S, other=0.0)[:, None] * value
    # Outside the image the expanding layer sees zeros.
    near = tl.where(live, tl.maximum(near, 0.0, propagate_nan=tl.PropagateNan.ALL), 0.0)
    o = tl.arange(0, OUT)
    first, second = (o < E1)[:, None], ((o >= E1) & (o < E1 + E3))[:, None]
    middle = first & (tap == 4)[None, :] & (r < 9 * S)[None, :]
    w = tl.load(one + o[:, None] * S + channel[None, :], mask=middle, other=0.0)
    here = ((o - E1)[:, None] * S + channel[None, :]) * 9 + tap[None, :]
    w += tl.load(three + here, mask=second & (r < 9 * S)[None, :], other=0.0)
    bias = tl.load(one_bias + o, mask=o < E1, other=0.0) + tl.load(three_bias + o - E1, mask=(o >= E1) & (o < E1 + E3), other=0.0)
    acc = tl.dot(w, near, input_precision="tf32x3") + bias[:, None]
    acc = tl.maximum(acc, 0.0, propagate_nan=tl.PropagateNan.ALL)
    tl.store(y + (image * (E1 + E3) + o[:, None]) * plane + at[None, :], acc, mask=(first | second) & (at < plane)[None, :])


class ModelNew(torch.nn.Module):
    """See the module."""

    def __init__(self, in_channels, squeeze_channels, expand1x1_channels, expand3x3_channels):
        super().__init__()
        self.squeeze = torch.nn.Conv2d(in_channels, squeeze_channels, kernel_size=1)
        self.expand1x1 = torch.nn.Conv2d(squeeze_channels, expand1x1_channels, kernel_size=1)
        self.expand3x3 = torch.nn.Conv2d(squeeze_channels, expand3x3_channels, kernel_size=3, padding=1)

    def forward(self, x):
        x = x.contiguous()
        batch, channels, height, width = x.shape
        squeezed, e1, e3 = self.squeeze.out_channels, self.expand1x1.out_channels, self.expand3x3.out_channels
        y = torch.empty((batch, e1 + e3, height, width), dtype=x.dtype, device=x.device)
        fire_kernel[(triton.cdiv(height * width, 64), batch)](
            x, y, self.squeeze.weight, self.squeeze.bias, self.expand1x1.weight, self.expand1x1.bias,
            self.expand3x3.weight, self.expand3x3.bias, height, width, channels, squeezed, e1, e3,
            TAPS=max(16, triton.next_power_of_2(9 * squeezed)), OUT=max(64, triton.next_power_of_2(e1 + e3)), BLOCK=64, num_warps=8,
        )  # fmt: skip
        return y
