from .reinhard import ReinhardTransfer, lab_to_rgb, reinhard_transfer, rgb_to_lab

__all__ = ['ReinhardTransfer', 'lab_to_rgb', 'reinhard_transfer', 'rgb_to_lab']
