from .deeplabv2_head import DeepLabV2Head, HeadPart, branch_maps
from .joint import can_join, concatenated_logits, head_logits, widened

__all__ = [
    'DeepLabV2Head',
    'HeadPart',
    'branch_maps',
    'can_join',
    'concatenated_logits',
    'head_logits',
    'widened',
]
