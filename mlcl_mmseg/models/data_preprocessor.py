"""Conversion of batches from the data loader to network inputs."""

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import Tensor

from ..errors import InputError


@MODELS.register_module()
class MultiDomainDataPreprocessor(SegDataPreProcessor):
    """Convert the images of all domains of a batch to RGB from 0 to 1.

    Training batches of :class:`MultiDomainDataset` keep their structure. All other batches are
    processed by :class:`mmseg.models.SegDataPreProcessor`.

    Mean and standard deviation are applied by :meth:`normalise`, which a segmentor calls on the
    inputs of its backbone. All earlier operations of a step, such as style transfer and
    augmentations on the device, therefore work on colours from 0 to 1.

    Args:
        mean (Sequence[float]): Mean of red, green and blue, from 0 to 255. The default is 0 as in
            MCL (method.md §1).
        std (Sequence[float]): Standard deviation of red, green and blue, on the same scale. The
            default is 255 as in MCL.
        **kwargs: Keyword arguments of :class:`mmseg.models.SegDataPreProcessor`.

    Raises:
        InputError: If a standard deviation is not positive, or there are not three values each.
    """

    def __init__(
        self,
        mean: Sequence[float] = (0, 0, 0),
        std: Sequence[float] = (255, 255, 255),
        **kwargs: Any,
    ) -> None:
        if not len(mean) == len(std) == 3 or min(std) <= 0:
            raise InputError(
                f'data_preprocessor has mean {tuple(mean)} and std {tuple(std)}: set each to three '
                'values, of red, green and blue from 0 to 255, and std to positive ones.'
            )
        # the base class would convert each image to RGB by an index, which a GPU waits for
        super().__init__(mean=(0, 0, 0), std=(255, 255, 255), **kwargs)
        # The base class has no argument for this. The host does not wait for copies to the device.
        self._non_blocking = True
        # whether the model normalises where images enter its backbone
        self.is_left_to_model = False
        self.is_identity = tuple(mean) == (0, 0, 0) and tuple(std) == (255, 255, 255)
        for name, values in (('input_mean', mean), ('input_std', std)):
            tensor = torch.tensor(values, dtype=torch.float32).view(3, 1, 1) / 255
            self.register_buffer(name, tensor, persistent=False)

    def leave_normalisation(self) -> None:
        """From now on, leave mean and standard deviation to the model, which calls normalise."""
        self.is_left_to_model = True

    def normalise(self, images: Tensor) -> Tensor:
        """Convert images (B, 3, H, W), RGB from 0 to 1, to the backbone's inputs of this shape."""
        return images if self.is_identity else (images - self.input_mean) / self.input_std

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """Prepare a batch.

        Args:
            data (dict): ``dict(source=dict, targets=[dict, ...])`` of stacked tensors, or
                MMSegmentation's ``dict(inputs=[...], data_samples=[...])``.
            training (bool): Whether the batch is for training.

        Returns:
            dict: ``inputs`` and ``data_samples``. For a training batch, ``inputs`` has the
            structure of the batch, with images (B, 3, H, W) in float32, RGB from 0 to 1, and labels
            (B, H, W) in int64; ``data_samples`` is None.

        Raises:
            InputError: If the images of a prediction batch differ in size.
        """
        if 'source' not in data:
            sizes = sorted({(image.shape[2], image.shape[1]) for image in data['inputs']})
            if not training and len(sizes) > 1:
                raise InputError(
                    'The images of a batch have different sizes, '
                    f'{" and ".join(map("{0[0]}x{0[1]}".format, sizes))}: '
                    'resize them to one size in the pipeline, or set the batch_size to 1.'
                )
            batch = super().forward(data, training)
            batch['inputs'] = batch['inputs'].flip(1)
            if not self.is_left_to_model:
                batch['inputs'] = self.normalise(batch['inputs'])
            return batch
        data = self.cast_data(data)
        batch = dict(
            source=self.convert_domain(data['source']),
            targets=[self.convert_domain(target) for target in data['targets']],
        )
        return dict(inputs=batch, data_samples=None)

    def convert_domain(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Convert the images and the label of one domain's part of a batch."""
        converted = dict(sample)
        for key in ('img', 'strong_img'):
            if key in sample:
                converted[key] = self.convert_image(sample[key])
        if 'label' in sample:
            converted['label'] = sample['label'].long()
        return converted

    def convert_image(self, image: Tensor) -> Tensor:
        """Convert (B, 3, H, W) uint8 BGR to float32 RGB from 0 to 1."""
        return image.flip(1).float() / 255
