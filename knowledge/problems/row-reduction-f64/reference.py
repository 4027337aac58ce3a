import torch


def run(x):
    return x.sum(dim=-1)
