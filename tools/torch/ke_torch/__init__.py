"""Judges PyTorch, Triton and CUDA candidates across a process boundary; see README.md."""
