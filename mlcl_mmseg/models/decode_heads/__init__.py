from .deeplabv2_head import DeepLabV2Head, HeadPart, branch_maps
from .joint import as_levels, can_join, concatenated_logits, head_logits, widened

__all__ = [
    'DeepLabV2Head',
    'HeadPart',
    'as_levels',
    'branch_maps',
    'can_join',
    'concatenated_logits',
    'head_logits',
    'widened',
]
