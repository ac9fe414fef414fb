from .cityscapes import CityscapesDomain
from .domain import DomainDataset
from .folder import FolderDomain
from .gta5 import GTA5Domain
from .idd import IDDDomain
from .mapillary import MapillaryDomain
from .multi_domain import (
    MultiDomainDataset,
    MultiDomainValidation,
    StreamPosition,
    StreamSampler,
)
from .transforms import (
    LoadRawLabel,
    LoadSoftPseudoLabel,
    MapLabels,
    PackDomainInputs,
    StrongAugmentation,
    WeakAugmentation,
)

__all__ = [
    'CityscapesDomain',
    'DomainDataset',
    'FolderDomain',
    'GTA5Domain',
    'IDDDomain',
    'LoadRawLabel',
    'LoadSoftPseudoLabel',
    'MapLabels',
    'MapillaryDomain',
    'MultiDomainDataset',
    'MultiDomainValidation',
    'PackDomainInputs',
    'StreamPosition',
    'StreamSampler',
    'StrongAugmentation',
    'WeakAugmentation',
]
