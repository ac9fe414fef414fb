from .formatting import PackDomainInputs
from .labels import LoadSoftPseudoLabel, MapLabels
from .strong import StrongAugmentation
from .weak import WeakAugmentation

__all__ = [
    'LoadSoftPseudoLabel',
    'MapLabels',
    'PackDomainInputs',
    'StrongAugmentation',
    'WeakAugmentation',
]
