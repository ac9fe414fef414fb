from .reinhard import ReinhardTransfer, lab_to_rgb, reinhard_transfer, rgb_to_lab
from .transfer import StyleTransfer

__all__ = ['ReinhardTransfer', 'StyleTransfer', 'lab_to_rgb', 'reinhard_transfer', 'rgb_to_lab']
