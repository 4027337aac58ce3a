"""Compiling without a GPU: Triton ahead of time, CUDA by nvcc, edited assembly; resources, occupancy, lowered code. README.md."""
