from .deeplabv2_head import DeepLabV2Head, HeadPart, branch_maps, joint_logits

__all__ = ['DeepLabV2Head', 'HeadPart', 'branch_maps', 'joint_logits']
