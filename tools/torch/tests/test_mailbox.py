import pytest
import torch

from ke_torch.boundary import mailbox, wire
from ke_torch.timing.estimate import Launches, estimate_launches


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64, torch.bool, torch.int64, torch.float8_e4m3fn])
def test_tensors_come_out_of_a_box_as_they_went_in(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    whole = torch.randn(6, 10)
    tensors = [(whole > 0) if dtype == torch.bool else whole.to(dtype), (whole > 1).to(dtype).t(), torch.zeros(0, 3).to(dtype)]
    data = torch.zeros(mailbox.layout(tensors)[1], dtype=torch.uint8)
    records = mailbox.put(data, tensors, [0, 1, 2])
    for tensor, record in zip(tensors, records, strict=True):
        got = mailbox.take(data, record)
        assert got.dtype == dtype and got.shape == tensor.shape
        assert torch.equal(got.contiguous().view(torch.uint8), tensor.contiguous().view(torch.uint8))
    assert [r[3] for r in records] == [0, 1, 2]


def test_a_number_without_dimensions() -> None:
    data = torch.zeros(256, dtype=torch.uint8)
    (record,) = mailbox.put(data, [torch.tensor(3.5, dtype=torch.float64)])
    assert float(mailbox.take(data, record)) == 3.5


@pytest.mark.parametrize(
    "record",
    [[0, [100], 0, 0], [0, [4], 300, 0], [0, [-1], 0, 0], [99, [1], 0, 0],
     [0, [1] * 9, 0, 0], [0, [1], -256, 0], ["x"], [0, 5, 0, 0]],
)  # fmt: skip
def test_records_that_lie_are_refused(record: list[object]) -> None:
    with pytest.raises(wire.WireError):
        mailbox.take(torch.zeros(256, dtype=torch.uint8), record)


def launches(shift: float, spread: float, apart: float, seed: int) -> tuple[float, float]:
    generator = torch.Generator().manual_seed(seed)

    def noise(n: int, s: float) -> list[float]:
        return (torch.randn(n, generator=generator) * s).tolist()

    # A launch has a time of its own.
    base = [[b + v for v in noise(8, 0.01)] for b in noise(4, apart)]
    own = [[o - shift + v for v in noise(8, 0.01)] for o in noise(4, spread)]
    i = estimate_launches(Launches(own, base))
    return i.low, i.high


def test_intervals_of_launches_hold_what_is_true() -> None:
    held = [low <= 1 <= high for low, high in (launches(0.0, 0.004, 0.004, s) for s in range(200))]
    assert sum(held) >= 186
    assert all(low > 1.3 for low, _ in (launches(0.4, 0.004, 0.004, s) for s in range(20)))


def test_launches_that_differ_widen_the_interval() -> None:
    tight, wide = launches(0.0, 0.001, 0.001, 1), launches(0.0, 0.05, 0.001, 1)
    assert wide[1] - wide[0] > 2 * (tight[1] - tight[0])
