"""Export the deployed network to ONNX or with torch.export."""

import inspect
import io
import json
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from mmseg.models import EncoderDecoder
from torch import Tensor, nn

from ..durable_files import write_durably
from ..errors import InputError
from ..models import MultiDomainDataPreprocessor
from ..models.decode_heads import as_levels
from ..models.losses import resize_logits

FORMATS = ('onnx', 'torch')
LOGITS, INDEX = 'logits', 'index'
OUTPUTS = (LOGITS, INDEX)
ONNX_PACKAGES = ('onnx', 'onnxruntime', 'onnxscript')


class DeployedNetwork(nn.Module):
    """The network that predicts: normalisation, backbone, neck and decode head.

    If a segmentor has domain heads only, the decode head is the head of the last target.

    Args:
        model (EncoderDecoder): A model from :func:`load_segmentor`.
        output (str): 'logits', or 'index' for the index of the class with the largest logit.

    Raises:
        InputError: If the model does not normalise images by MultiDomainDataPreprocessor.
    """

    def __init__(self, model: EncoderDecoder, output: str = LOGITS) -> None:
        super().__init__()
        if not isinstance(model.data_preprocessor, MultiDomainDataPreprocessor):
            raise InputError(
                'Exported networks take RGB from 0 to 1, but data_preprocessor is a '
                f'{type(model.data_preprocessor).__name__}: use MultiDomainDataPreprocessor.'
            )
        self.backbone = model.backbone
        self.neck = model.neck if model.with_neck else nn.Identity()
        self.decode_head = model.decode_head
        self.align_corners = model.align_corners
        self.normalise = model.data_preprocessor.normalise
        self.output = output
        # torch.export.load warns about weights in the channels-last memory format
        self.to(memory_format=torch.contiguous_format)
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        """Predict logits or class indices, depending on ``output``.

        Args:
            image (Tensor): (B, 3, H, W) RGB from 0 to 1.

        Returns:
            Tensor: Logits (B, C, H, W), or class indices (B, H, W) uint8.
        """
        logits = self.logits(image)
        return logits if self.output == LOGITS else logits.argmax(1).to(torch.uint8)

    def logits(self, image: Tensor) -> Tensor:
        """Predict logits (B, C, H, W) of images (B, 3, H, W), RGB from 0 to 1."""
        features = as_levels(self.backbone(self.normalise(image)))
        logits = self.decode_head(as_levels(self.neck(features)))
        return resize_logits(logits, image.shape[2:], self.align_corners)


def check_exporter(kind: str) -> None:
    """Check that this environment can export to a format.

    Args:
        kind (str): 'onnx' or 'torch'.

    Raises:
        InputError: If PyTorch is too old or a package is missing.
    """
    has_exporter = hasattr(torch, 'export') and hasattr(torch.export, 'ExportedProgram')
    if (
        not has_exporter
        or 'check_guards' not in inspect.signature(torch.export.ExportedProgram.module).parameters
    ):
        raise InputError(
            f'PyTorch {torch.__version__} is too old to export: use an environment with the '
            'versions of constraints.txt.'
        )
    missing = [name for name in ONNX_PACKAGES if kind == 'onnx' and find_spec(name) is None]
    if missing:
        raise InputError(
            f'--format onnx needs {" and ".join(missing)}: '
            "pip install -c constraints.txt -e '.[export]'."
        )


def export(
    network: DeployedNetwork, path: Path, kind: str, size: Sequence[int], about: dict[str, str]
) -> None:
    """Write a network to a file, with dynamic batch size, height and width.

    Args:
        network (DeployedNetwork): The network, on the CPU.
        path (Path): The file to write.
        kind (str): 'onnx' or 'torch'.
        size (Sequence[int]): (H, W) of the images that the network is traced with.
        about (dict[str, str]): Additional information for the reader of the file. 'onnx' stores it
            as metadata, 'torch' as the extra file ``about.json``.
    """
    free = torch.export.Dim.DYNAMIC
    # with a batch of 1, torch.export would treat the batch size as constant
    example = torch.rand(2, 3, *size)
    with torch.no_grad():
        program = torch.export.export(
            network, (example,), dynamic_shapes=({0: free, 2: free, 3: free},)
        )
    with io.BytesIO() as content:
        if kind == 'torch':
            torch.export.save(program, content, extra_files={'about.json': json.dumps(about)})
        else:
            converted = torch.onnx.export(
                program, input_names=['image'], output_names=[network.output], verbose=False
            )
            # only the legacy exporter returns None
            assert converted is not None
            converted.model.metadata_props.update(about)
            content.write(converted.model_proto.SerializeToString())
        write_durably(path, content.getvalue(), 'start again')


def read_export(path: Path, kind: str) -> Callable[[Tensor], Tensor]:
    """Load an exported network as a function on the CPU.

    Args:
        path (Path): The file.
        kind (str): 'onnx' or 'torch'.

    Returns:
        Callable: It maps images (B, 3, H, W) to the output of the network.
    """
    if kind == 'torch':
        # the guards would require the strides of the batch of 2 that it was traced with
        return torch.export.load(str(path)).module(check_guards=False)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return lambda image: torch.from_numpy(session.run(None, {'image': image.numpy()})[0])


def differences(
    network: DeployedNetwork, exported: Callable[[Tensor], Tensor], size: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Compare an exported network with the original on random images.

    The images have several batch sizes, the given size, and smaller sizes that are no multiples of
    the network's stride.

    Args:
        network (DeployedNetwork): The original network, on the CPU.
        exported (Callable): The exported network, from :func:`read_export`.
        size (Sequence[int]): (H, W) of the largest images.

    Yields:
        tuple[tuple[int, ...], float]: The shape (B, 3, H, W) of the images, and the largest
        difference divided by the largest absolute logit. If the network predicts indices, the
        difference is that between the largest logit and the logit of the exported network's class.
    """
    height, width = size
    shapes = [
        (1, height, width),
        (2, height * 3 // 4 + 1, width * 2 // 3 + 1),
        (3, height // 2 + 3, width // 2 - 1),
    ]
    generator = torch.Generator().manual_seed(0)
    for batch, *sides in shapes:
        image = torch.rand(batch, 3, *sides, generator=generator)
        with torch.no_grad():
            logits = network.logits(image)
            found = exported(image)
        if network.output == LOGITS:
            difference = (found - logits).abs().amax()
        else:
            chosen = logits.gather(1, found.long()[:, None])
            difference = (logits.amax(1, keepdim=True) - chosen).amax()
        yield tuple(image.shape), float(difference / logits.abs().amax())
