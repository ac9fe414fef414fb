"""Steps whose loss is not finite."""

import multiprocessing
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mlcl_mmseg.datasets.multi_domain import StreamPosition
from mlcl_mmseg.engine.hooks import FiniteLossHook
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.methods.adversarial import AdversarialWarmup
from mlcl_mmseg.models.train_step import AsyncBool


class Weights(Hook):
    """The network's and discriminators' tensors and the optimisers' states after each step."""

    def __init__(self):
        self.after = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        states = [wrapper.state_dict()['state'] for _, wrapper in runner.optim_wrapper.items()]
        tensors = [
            *runner.model.state_dict().values(),
            *(value for state in states for each in state.values() for value in each.values()),
        ]
        self.after.append([value.clone() for value in tensors if torch.is_tensor(value)])


@pytest.fixture
def break_steps(monkeypatch):
    """Let the loss of the given steps, counted from 1, be no number."""

    def break_steps(*steps):
        original, calls = AdversarialWarmup.loss, []

        def loss(self, inputs, data_samples=None):
            calls.append(1)
            losses = original(self, inputs, data_samples)
            if len(calls) in steps:
                losses['warmup/loss_source/dusk'] = losses['warmup/loss_source/dusk'] * torch.inf
            return losses

        monkeypatch.setattr(AdversarialWarmup, 'loss', loss)

    return break_steps


@pytest.fixture
def break_gradients(monkeypatch):
    """Let one gradient of the given steps, counted from 1, be no number; the loss is finite."""

    def break_gradients(*steps):
        original, calls = AdversarialWarmup.loss, []

        def loss(self, inputs, data_samples=None):
            calls.append(1)
            losses = original(self, inputs, data_samples)
            if len(calls) in steps:
                weight = self.backbone.conv1.weight
                # the square root of 0 is 0, and its gradient is infinite
                losses['loss_root'] = (weight[0, 0, 0, 0] - weight[0, 0, 0, 0].detach()).sqrt()
            return losses

        monkeypatch.setattr(AdversarialWarmup, 'loss', loss)

    return break_gradients


def train(config):
    config.model.backbone.norm_cfg = dict(type='BN', requires_grad=True)
    config.model.backbone.norm_eval = False
    runner, weights = Runner.from_cfg(config), Weights()
    runner.register_hook(weights)
    runner.train()
    return runner, weights.after


def test_a_step_is_skipped_and_told(toy_config, break_steps):
    """Nothing of it remains, neither in weights nor in statistics nor in optimisers."""
    break_steps(2)
    runner, after = train(toy_config('warmup', 3, 3))
    assert all(map(torch.equal, after[0], after[1]))
    assert not all(map(torch.equal, after[1], after[2]))
    (log,) = Path(runner.work_dir).glob('*/*.log')
    (record,) = [line for line in log.read_text().splitlines() if 'is skipped' in line]
    assert 'Iteration 2 is skipped, its loss is not finite' in record
    loader = runner.train_dataloader
    # the second batch of the stream
    places = range(loader.batch_size, 2 * loader.batch_size)
    samples = [loader.dataset[StreamPosition(runner.seed, place)] for place in places]
    names = [sample['source']['img_path'] for sample in samples]
    for index in range(len(samples[0]['targets'])):
        names += [sample['targets'][index]['img_path'] for sample in samples]
    assert record.endswith(f' Images: {", ".join(names)}.')
    assert all(torch.isfinite(each).all() for each in after[2])


@pytest.mark.parametrize('fused', [True, False])
@pytest.mark.parametrize('step', [1, 2])
def test_a_step_whose_gradient_is_not_finite_is_skipped_and_told(
    toy_config, break_gradients, step, fused
):
    """Weights and optimisers are as they were; statistics are those of the forward pass."""
    break_gradients(step)
    config = toy_config('warmup', 3, 3)
    config.optim_wrapper.network.optimizer.fused = fused
    runner, after = train(config)
    (log,) = Path(runner.work_dir).glob('*/*.log')
    (record,) = [line for line in log.read_text().splitlines() if 'is skipped' in line]
    assert f'Iteration {step} is skipped, a gradient is not finite' in record
    assert all(torch.isfinite(each).all() for each in after[2])
    names = [*runner.model.state_dict()]
    changed = [
        name
        for name, old, new in zip(names, after[step - 1], after[step])
        if not torch.equal(old, new)
    ]
    assert changed and (step == 1 or not torch.equal(after[0][0], after[2][0]))
    if step == 2:
        changed = [name for name, *pair in zip(names, *after[:2]) if not torch.equal(*pair)]
        assert changed
        assert all('running' in name or 'num_batches' in name for name in changed)
        # the states of the optimisers
        assert all(map(torch.equal, after[0][len(names) :], after[1][len(names) :]))


def test_the_images_of_all_processes_are_named(tmp_path):
    """Whichever has the loss that is not finite."""
    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=skip_step, args=(rank, tmp_path)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert (tmp_path / '0').read_text() == (tmp_path / '1').read_text()
    assert 'Images: source_0.png, dusk_0.png, source_1.png, dusk_1.png.' in (
        (tmp_path / '0').read_text()
    )


def skip_step(rank, folder):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    logger = SimpleNamespace(warning=(folder / str(rank)).write_text)
    source, target = (dict(img_path=[f'{name}_{rank}.png']) for name in ('source', 'dusk'))
    model = SimpleNamespace(step_is_finite=AsyncBool(torch.tensor(False)))
    hook, runner = FiniteLossHook(), SimpleNamespace(iter=1, logger=logger, model=model)
    batch, outputs = dict(source=source, targets=[target]), dict(loss=torch.tensor(torch.inf))
    hook.after_train_iter(runner, 0, batch, outputs)
    hook.after_train(runner)


def test_too_many_in_a_row_end_the_training(toy_config, break_steps):
    break_steps(2, 4, 5, 6)
    config = toy_config('warmup', 8, 8)
    config.default_hooks.finite_loss.patience = 3
    with pytest.raises(InputError, match='not finite in 3 consecutive iterations, the last is 6: '):
        train(config)
