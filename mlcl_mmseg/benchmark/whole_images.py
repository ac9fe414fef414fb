"""Prediction and pseudo-labels of batches of whole images that lie ready on the device."""

from collections.abc import Callable

import torch
from mmengine.config import Config
from mmseg.structures import SegDataSample
from torch import Tensor

from ..engine.precision import computing_in
from .inputs import sizes_of
from .training import build_segmentor


def random_images(config: Config, device: str, size: int) -> Tensor:
    """Random images (size, 3, H, W) of the working size, RGB from 0 to 1."""
    (height, width), _ = sizes_of(config)
    return torch.rand(size, 3, height, width, device=device)


def prediction(config: Config, device: str, precision: str) -> tuple[Callable[[], None], int]:
    """A function that predicts a batch of whole images with the deployed head, as a validation.

    Args:
        config (Config): The config.
        device (str): 'cpu' or 'cuda'.
        precision (str): The precision of the network.

    Returns:
        tuple[Callable, int]: The function, and the number of images that it predicts.
    """
    images = random_images(config, device, config.val_dataloader.batch_size)
    segmentor = build_segmentor(config, device).eval()
    shape = tuple(images.shape[2:])

    def run() -> None:
        samples = [SegDataSample(metainfo=dict(img_shape=shape, ori_shape=shape)) for _ in images]
        with torch.no_grad(), computing_in(precision, device):
            segmentor.predict(images, samples)

    return run, len(images)


def labelling(
    config: Config, device: str, precision: str, size: int
) -> tuple[Callable[[], Tensor], int]:
    """A function that computes soft pseudo-labels of a batch of whole images.

    Args:
        config (Config): The config of a method with soft pseudo-labels.
        device (str): 'cpu' or 'cuda'.
        precision (str): The precision of the network.
        size (int): Number of images.

    Returns:
        tuple[Callable, int]: The function, which returns (size, C, h, w) class probabilities on the
        device, and the number of images.
    """
    images = random_images(config, device, size)
    segmentor = build_segmentor(config, device).eval()

    def run() -> Tensor:
        with computing_in(precision, device):
            return segmentor.soft_pseudo_label(images, 0)

    return run, size
