import torch


def run(x, weight, bias):
    return torch.nn.functional.conv2d(x, weight, bias)
