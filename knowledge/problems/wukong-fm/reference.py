import torch


def run(X, Y):
    return X @ (X.transpose(1, 2) @ Y)
