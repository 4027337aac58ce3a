"""What passes between the judge and a host: bytes, words, device memory. Imports nothing of either side."""
