from .geometry import warp_pseudo_label
from .selection import class_thresholds, label_grid, normalised_entropy, select_pseudo_label
from .store import PseudoLabelGeneration, generations, load_soft_pseudo_label, remove_generations

__all__ = [
    'PseudoLabelGeneration',
    'class_thresholds',
    'generations',
    'label_grid',
    'load_soft_pseudo_label',
    'normalised_entropy',
    'remove_generations',
    'select_pseudo_label',
    'warp_pseudo_label',
]
