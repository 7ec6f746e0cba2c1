"""Fused and rolling kernels over a panel of instruments, compiled once and cached on disk."""

from features.kernels.fused import FUSED_NAMES, FusedSettings, panel

__all__ = ["FUSED_NAMES", "FusedSettings", "panel"]
