from .deeplabv2_head import DeepLabV2Head, branch_maps
from .joint import as_levels, can_join, head_logits, logits_of_passes, widened

__all__ = [
    'DeepLabV2Head',
    'as_levels',
    'branch_maps',
    'can_join',
    'head_logits',
    'logits_of_passes',
    'widened',
]
