"""Multi-Level Collaborative Learning (Zhang et al., TCSVT 2024; method.md §4)."""

from .segmentor import MCLSegmentor

__all__ = ['MCLSegmentor']
