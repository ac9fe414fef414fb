from .grid import label_grid
from .store import PseudoLabelGeneration, generations, load_soft_pseudo_label, remove_generations

__all__ = [
    'PseudoLabelGeneration',
    'generations',
    'label_grid',
    'load_soft_pseudo_label',
    'remove_generations',
]
