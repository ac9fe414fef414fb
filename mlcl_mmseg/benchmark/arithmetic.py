"""The number of floating-point operations of a training step."""

from torch.utils.flop_counter import FlopCounterMode

from ..methods.base import DomainSegmentor


def operations_of_step(segmentor: DomainSegmentor, batch: dict) -> int:
    """Count the floating-point operations of one step's forward and backward passes.

    Only the operations of convolutions and matrix products that are really computed are counted,
    with two operations for one multiplication and addition. Products with padding that a head skips
    because of its ``window_share`` are therefore not counted. Weight updates, and the training of
    modules with an optimiser of their own, are not counted either.

    Args:
        segmentor (DomainSegmentor): A segmentor of any method. Its gradients are reset afterwards.
        batch (dict): A batch of the training loader.

    Returns:
        int: Number of operations for the whole batch.
    """
    inputs = segmentor.data_preprocessor(batch, True)['inputs']
    with FlopCounterMode(display=False) as counter:
        for turn in segmentor.turns:
            loss, _ = segmentor.parse_losses(segmentor.loss({**inputs, 'turn': turn}))
            loss.backward()
    segmentor.zero_grad()
    return counter.get_total_flops()
