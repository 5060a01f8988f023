"""Policies that serving may import: NumPy and the kernel, nothing else."""
