"""Predict images of any size by a config's test pipeline."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmseg.datasets.transforms import LoadImageFromNDArray
from mmseg.models import EncoderDecoder
from torch import Tensor

from ..datasets.image_files import open_image
from ..engine.precision import check_precision, computing_in
from ..errors import InputError
from ..models.losses import full_precision
from .threads import in_threads

# transforms that want a label; LoadRawLabel does without
LABEL_LOADERS = ('LoadAnnotations',)


class Loaded(NamedTuple):
    """An image (H, W, 3) uint8 BGR, and what the pipeline makes of it."""

    image: np.ndarray
    sample: dict


class Prediction(NamedTuple):
    """What is predicted of an image, at its own size.

    Attributes:
        image (np.ndarray): (H, W, 3) uint8 RGB.
        index (np.ndarray): (H, W) uint8 class indices.
        confidence (np.ndarray): (H, W) float32, the probability of that class.
    """

    image: np.ndarray
    # it hides a method of tuples that is not used
    index: np.ndarray  # type: ignore[assignment]
    confidence: np.ndarray


class Predictor:
    """Images in, predictions out, in their order.

    An image goes through the test pipeline, thus to the working size, and its logits are enlarged
    to the image's own size: what ``mmseg.apis.inference_model`` does.

    Args:
        model (EncoderDecoder): Of :func:`load_segmentor`.
        config (Config): Its config, for ``test_pipeline``.
        precision (str): 'fp32', 'tf32', 'bf16' or 'fp16'.

    Raises:
        InputError: If the precision cannot be had on the model's device, or the config has no test
            pipeline that loads images.
    """

    def __init__(self, model: EncoderDecoder, config: Config, precision: str = 'fp32') -> None:
        self.model = model
        self.device = next(model.parameters()).device.type
        check_precision(precision, self.device == 'cuda')
        self.precision = precision
        pipeline = [
            step for step in config.get('test_pipeline') or () if step['type'] not in LABEL_LOADERS
        ]
        if not pipeline or pipeline[0]['type'] != 'LoadImageFromFile':
            raise InputError(
                f'{config.filename} has no test_pipeline that begins with LoadImageFromFile: set '
                'one, as configs/_base_/datasets/domains_7.py does.'
            )
        self.load_file, *transforms = Compose(pipeline).transforms
        self.load_array = LoadImageFromNDArray()
        self.transforms = Compose(transforms)

    def load(self, image: str | Path | np.ndarray) -> Loaded:
        """Read an image and transform it.

        Args:
            image (str | Path | np.ndarray): A file, or (H, W, 3) uint8 BGR.

        Raises:
            InputError: If a file cannot be read. What else a transform raises passes through.
        """
        if isinstance(image, np.ndarray):
            results = self.load_array(dict(img=image))
            return Loaded(image, self.transforms(results))
        try:
            results = self.load_file(dict(img_path=str(image)))
            return Loaded(results['img'], self.transforms(results))
        except Exception:
            # what a decoder raises does not tell the file: read it again to know, and to name it
            open_image(image)
            raise

    @torch.no_grad()
    def predict(self, batch: Sequence[Loaded]) -> Iterator[Prediction]:
        """Predict images that the pipeline has made of one size, enlarged one by one."""
        data = pseudo_collate([loaded.sample for loaded in batch])
        data = self.model.data_preprocessor(data, False)
        samples = data['data_samples']
        # MMSegmentation warns of images that differ in size; here they are enlarged one by one
        metas = [{**each.metainfo, 'ori_shape': each.img_shape} for each in samples]
        with computing_in(self.precision, self.device):
            logits = self.model.inference(data['inputs'], metas)
        for loaded, sample, each in zip(batch, samples, full_precision(logits).split(1)):
            (result,) = self.model.postprocess_result(each, [sample])
            index = result.pred_sem_seg.data[0]
            confidence = largest_probability(result.seg_logits.data, index)
            yield Prediction(
                np.ascontiguousarray(loaded.image[..., ::-1]),
                index.byte().cpu().numpy(),
                confidence.cpu().numpy(),
            )

    def stream(
        self, images: Iterable[str | Path | np.ndarray], batch_size: int = 1
    ) -> Iterator[Prediction]:
        """Predict images in batches, while the next are loaded.

        Args:
            images (Iterable): See :meth:`load`.
            batch_size (int): Images per forward pass, fewer where they differ in size even after
                the pipeline.
        """
        loaded = in_threads(self.load, images)
        while batch := list(islice(loaded, batch_size)):
            for _, group in groupby(batch, lambda each: each.sample['inputs'].shape):
                yield from self.predict(list(group))


def largest_probability(logits: Tensor, index: Tensor) -> Tensor:
    """The probability of the predicted class, by the softmax over all.

    Args:
        logits (Tensor): (C, H, W).
        index (Tensor): (H, W), the class with the largest.

    Returns:
        Tensor: (H, W).
    """
    # one map at a time: all probabilities of a large image would be as large as its logits
    largest = logits.gather(0, index[None])[0]
    return 1 / sum((each - largest).exp() for each in logits)
