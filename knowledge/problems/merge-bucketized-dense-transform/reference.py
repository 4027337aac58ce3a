import torch


def run(x, borders):
    features, width = borders.shape
    columns = [torch.bucketize(x[:, f].contiguous(), borders[f]) + f * (width + 1) for f in range(features)]
    return torch.stack(columns, dim=1).to(torch.int32)
