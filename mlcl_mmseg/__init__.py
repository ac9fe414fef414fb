"""Multi-Level Collaborative Learning for multi-target domain adaptation on MMSegmentation 1.x.

Importing the package registers its data sets, transforms, models, hooks and metrics with
MMSegmentation: ``custom_imports = dict(imports=['mlcl_mmseg'])``.
"""

from . import datasets, engine, evaluation, methods, models
from .shipped import CONFIGS
from .version import __version__

__all__ = ['CONFIGS', '__version__', 'datasets', 'engine', 'evaluation', 'methods', 'models']
