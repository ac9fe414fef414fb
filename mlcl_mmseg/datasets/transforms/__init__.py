from .formatting import PackDomainInputs
from .labels import LoadRawLabel, LoadSoftPseudoLabel, MapLabels
from .strong import StrongAugmentation
from .weak import WeakAugmentation

__all__ = [
    'LoadRawLabel',
    'LoadSoftPseudoLabel',
    'MapLabels',
    'PackDomainInputs',
    'StrongAugmentation',
    'WeakAugmentation',
]
