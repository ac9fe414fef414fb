"""Predict images of any size with the test pipeline of a config."""

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

from ..datasets.image_files import check_depth, open_image
from ..engine.precision import check_precision, computing_in
from ..errors import InputError
from ..models.losses import full_precision
from .threads import in_threads

# transforms that need a label file; LoadRawLabel is not listed, because it works without one
LABEL_LOADERS = ('LoadAnnotations',)


class Loaded(NamedTuple):
    """An image (H, W, 3) uint8 BGR, and its sample from the test pipeline."""

    image: np.ndarray
    sample: dict


class Prediction(NamedTuple):
    """The prediction of an image, at the original size of the image.

    Attributes:
        image (np.ndarray): (H, W, 3) uint8 RGB.
        index (np.ndarray): (H, W) uint8 class indices.
        confidence (np.ndarray): (H, W) float32 probabilities of the predicted classes.
    """

    image: np.ndarray
    # it hides the method tuple.index, which is not used
    index: np.ndarray  # type: ignore[assignment]
    confidence: np.ndarray


class Predictor:
    """Predicts images and returns the predictions in the order of the images.

    Like ``mmseg.apis.inference_model``, it applies the test pipeline, which resizes an image to
    the working size, and resizes the logits to the original size of the image.

    Args:
        model (EncoderDecoder): A model from :func:`load_segmentor`.
        config (Config): The config of the model; its ``test_pipeline`` is used.
        precision (str): 'fp32', 'tf32', 'bf16' or 'fp16'.

    Raises:
        InputError: If the device of the model does not support the precision, or if the config has
            no test pipeline that loads images.
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
            InputError: If the file cannot be read or has more than 8 bits a channel. Other errors
                of transforms are not caught.
        """
        if isinstance(image, np.ndarray):
            results = self.load_array(dict(img=image))
            return Loaded(image, self.transforms(results))
        # MMCV decodes any format that Pillow knows, and waits for ever for a named pipe
        check_depth(open_image(image, load=False), image)
        try:
            results = self.load_file(dict(img_path=str(image)))
            return Loaded(results['img'], self.transforms(results))
        except Exception:
            # a decoder's error does not name the file: read it again for an error that does
            open_image(image)
            raise

    @torch.no_grad()
    def predict(self, batch: Sequence[Loaded]) -> Iterator[Prediction]:
        """Predict a batch of images that have the same size after the pipeline."""
        data = pseudo_collate([loaded.sample for loaded in batch])
        data = self.model.data_preprocessor(data, False)
        samples = data['data_samples']
        # MMSegmentation would warn that the original sizes differ; each image is resized to its
        # original size below
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
        """Predict images in batches, while threads load the next images.

        Args:
            images (Iterable): Images as for :meth:`load`.
            batch_size (int): Largest number of images per forward pass. Images that differ in size
                after the pipeline are predicted in separate passes.

        Yields:
            Prediction: The predictions in the order of the images.

        Raises:
            InputError: If an image cannot be read, after the predictions of all images before it.
        """
        loaded = in_threads(self.load, images)
        while True:
            batch, failure = take(loaded, batch_size)
            for _, group in groupby(batch, lambda each: each.sample['inputs'].shape):
                yield from self.predict(list(group))
            if failure is not None:
                raise failure
            if not batch:
                return


def take(loaded: Iterator[Loaded], number: int) -> tuple[list[Loaded], InputError | None]:
    """Take images up to a number or to the first that cannot be read, whose error is returned."""
    batch: list[Loaded] = []
    try:
        for each in islice(loaded, number):
            batch.append(each)
    except InputError as error:
        return batch, error
    return batch, None


def largest_probability(logits: Tensor, index: Tensor) -> Tensor:
    """Compute the softmax probability of the predicted class.

    Args:
        logits (Tensor): (C, H, W).
        index (Tensor): (H, W) indices of the classes with the largest logits.

    Returns:
        Tensor: (H, W) probabilities.
    """
    # one class at a time: the probabilities of all classes would need as much memory as the logits
    largest = logits.gather(0, index[None])[0]
    return 1 / sum((each - largest).exp() for each in logits)
