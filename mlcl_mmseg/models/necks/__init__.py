from .concatenation import ConcatenationNeck

__all__ = ['ConcatenationNeck']
