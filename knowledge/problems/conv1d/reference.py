import torch


def run(x, weight, bias):
    return torch.nn.functional.conv1d(x, weight, bias)
