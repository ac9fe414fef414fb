"""Batch norm over a batch that processes share is that of the whole batch, however it is set."""

import multiprocessing

import pytest
import torch
from torch import nn

from mlcl_mmseg.models import GlobalBatchNorm
from mlcl_mmseg.models.norms import BatchNormOfPasses, normalise_passes

FORK = multiprocessing.get_context('fork')
STEPS, SHARE, WORLD_SIZE = 3, 2, 2


def batches():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(STEPS, WORLD_SIZE * SHARE, 4, 5, 6, generator=generator) * 3 + 1


def work(rank, folder, settings):
    """Normalise this process's share of each batch; keep what comes of it.

    The group is not taken down: in PyTorch 2.1 that may wait for ever for one that has left.
    """
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=WORLD_SIZE
    )
    norm = GlobalBatchNorm(4, **settings)
    outputs = [norm(batch.split(SHARE)[rank]) for batch in batches()]
    torch.save((torch.stack(outputs).detach(), norm.state_dict()), folder / f'{rank}.pth')


@pytest.mark.parametrize(
    'settings',
    [{}, dict(affine=False), dict(track_running_stats=False), dict(momentum=None)],
    ids=['default', 'without weights', 'without running statistics', 'cumulative'],
)
def test_shares_are_normalised_as_the_whole_batch(tmp_path, settings):
    processes = [FORK.Process(target=work, args=(rank, tmp_path, settings)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    norm = nn.BatchNorm2d(4, **settings)
    expected = torch.stack([norm(batch) for batch in batches()])
    for rank in range(WORLD_SIZE):
        outputs, state = torch.load(tmp_path / f'{rank}.pth', weights_only=True)
        share = expected[:, rank * SHARE : (rank + 1) * SHARE]
        torch.testing.assert_close(outputs, share, rtol=1e-5, atol=1e-5)
        assert state.keys() == norm.state_dict().keys()
        for name, value in norm.state_dict().items():
            torch.testing.assert_close(state[name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('normalise', [BatchNormOfPasses.apply, normalise_passes])
@pytest.mark.parametrize('affine', [True, False])
def test_passes_of_a_batch_are_batches(normalise, affine):
    """Results, gradients and running statistics of three batches, one after the other."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(6, 4, 5, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    norm = nn.BatchNorm2d(4, affine=affine, momentum=0.3).double()
    running = norm.running_mean.clone(), norm.running_var.clone()
    wanted = torch.cat([norm(each * 3 + 1) for each in inputs.chunk(3)])
    found = normalise(inputs * 3 + 1, norm.weight, norm.bias, *running, 3, 0.3, norm.eps)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(running, (norm.running_mean, norm.running_var))
    learned = [inputs, *norm.parameters()]
    gradients = [torch.autograd.grad(each.sin().sum(), learned) for each in (found, wanted)]
    torch.testing.assert_close(*gradients)
