"""Multi-Level Collaborative Learning for multi-target domain adaptation on MMSegmentation 1.x.

Importing the package registers its data sets, transforms, models, hooks and metrics with
MMSegmentation: ``custom_imports = dict(imports=['mlcl_mmseg'])``.
"""

from . import datasets, engine, evaluation, methods, models
from .shipped import CONFIGS

__version__ = '0.1.0'
__all__ = ['CONFIGS', 'datasets', 'engine', 'evaluation', 'methods', 'models']
