"""Fused and rolling kernels over a panel of instruments, compiled once and cached on disk."""
