import torch


def run(values, offsets, keep):
    batch, features = offsets.numel() - 1, values.shape[1]
    out = values.new_zeros(batch, keep, features)
    lengths = torch.zeros(batch, dtype=torch.int64)
    for b in range(batch):
        events = values[offsets[b] : offsets[b + 1]][-keep:] if keep > 0 else values[:0]
        out[b, : len(events)] = events
        lengths[b] = len(events)
    return out, lengths
