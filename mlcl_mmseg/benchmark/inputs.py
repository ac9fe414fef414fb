"""Create inputs of the sizes that a config trains on, without a data set."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from ..datasets.config_domains import crop_size, working_size
from ..datasets.multi_domain import MultiDomainDataset
from ..pseudo_labels import PseudoLabelGeneration, label_grid
from ..toy_world import write_toy_world

FRAME = (2048, 1024)
NUM_FRAMES = 4


def sizes_of(config: Config) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the working size and the crop size of a config, each as (H, W).

    Raises:
        InputError: If the source pipeline does not set them.
    """
    (width, height), (crop_width, crop_height) = working_size(config), crop_size(config)
    return (height, width), (crop_height, crop_width)


def random_batch(
    config: Config, crop: tuple[int, int], seed: int = 0, size: int | None = None
) -> dict:
    """Return a training batch of random pixels with all keys that the pipelines would add.

    Args:
        config (Config): The config.
        crop (tuple[int, int]): (H, W) of the images.
        seed (int): Seed of the random values.
        size (int, optional): Images of each domain; by default those of the config.
    """
    generator = torch.Generator().manual_seed(seed)
    size = config.train_dataloader.batch_size if size is None else size
    made = {step.type for step in config.train_dataloader.dataset.target_pipeline}
    num_classes = config.model.decode_head.num_classes

    def images(*shape: int) -> Tensor:
        return torch.randint(256, (size, *shape), generator=generator, dtype=torch.uint8)

    def target() -> dict[str, Tensor]:
        sample = dict(img=images(3, *crop))
        if 'LoadSoftPseudoLabel' in made:
            logits = torch.randn(size, num_classes, *label_grid(crop), generator=generator)
            sample.update(soft_pseudo_label=(4 * logits).softmax(1))
        if 'StrongAugmentation' in made:
            height, width = crop
            sample.update(
                strong_img=images(3, *crop),
                strong_affine=torch.eye(3)[:2].repeat(size, 1, 1),
                strong_cutout=torch.tensor([[0, 0, width // 4, height // 3]] * size),
            )
        return sample

    label = torch.randint(num_classes, (size, *crop), generator=generator, dtype=torch.uint8)
    targets = [target() for _ in config.model.get('targets', [])]
    return dict(source=dict(img=images(3, *crop), label=label), targets=targets)


@contextmanager
def drawn_frames(num_frames: int = NUM_FRAMES) -> Iterator[None]:
    """Draw frames of 2048x1024 in the layouts of the four data sets; set MLCL_DATA_ROOT to them.

    Args:
        num_frames (int): Number of training frames of each domain.
    """
    before = os.environ.get('MLCL_DATA_ROOT')
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, 'data')
        write_toy_world(root, num_frames, FRAME, seed=0, num_validation_images=1)
        os.environ['MLCL_DATA_ROOT'] = str(root)
        try:
            yield
        finally:
            os.environ.pop('MLCL_DATA_ROOT')
            if before is not None:
                os.environ['MLCL_DATA_ROOT'] = before


def random_pseudo_labels(
    config: Config, dataset: MultiDomainDataset, folder: Path
) -> PseudoLabelGeneration:
    """Write random soft pseudo-labels at feature resolution for all target images of a data set.

    Args:
        config (Config): The config of a self-training stage.
        dataset (MultiDomainDataset): The training set.
        folder (Path): The folder for the files.

    Returns:
        PseudoLabelGeneration: The complete generation of pseudo-labels.
    """
    (height, width), _ = sizes_of(config)
    num_classes = config.model.decode_head.num_classes
    generator = torch.Generator().manual_seed(0)
    generation = PseudoLabelGeneration(folder, 0)
    generation.begin()
    for domain in dataset.targets:
        for index in range(len(domain)):
            patches = torch.randn(1, num_classes, 6, 12, generator=generator)
            soft = torch.nn.functional.interpolate(
                6 * patches, (height // 8 + 1, width // 8 + 1), mode='bilinear'
            ).softmax(1)
            name = domain.get_data_info(index)['sample_name']
            generation.write(domain.domain, name, np.asarray(soft[0]))
    generation.finish(dict(checkpoint='', weights=''))
    return generation
