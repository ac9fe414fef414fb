"""Steps whose loss is not finite."""

import multiprocessing
import re
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

from ..fp16 import allow_on_cpu

# one forward pass a step, which the fixtures count
TOGETHER = {'model.backward': 'together'}


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
    runner, after = train(toy_config('warmup', 3, 3, **TOGETHER))
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
    """Nothing of it remains, neither in weights nor in statistics nor in optimisers."""
    break_gradients(step)
    config = toy_config('warmup', 3, 3, **TOGETHER)
    config.optim_wrapper.network.optimizer.fused = fused
    runner, after = train(config)
    (log,) = Path(runner.work_dir).glob('*/*.log')
    (record,) = [line for line in log.read_text().splitlines() if 'is skipped' in line]
    assert f'Iteration {step} is skipped, a gradient is not finite' in record
    assert all(torch.isfinite(each).all() for each in after[2])
    if step == 2:
        assert all(map(torch.equal, after[0], after[1]))
    else:
        counts = [
            int(each)
            for name, each in zip(runner.model.state_dict(), after[0])
            if 'num_batches_tracked' in name
        ]
        assert counts and not any(counts)
    assert not all(map(torch.equal, after[step - 1], after[step]))


def train_in_fp16(config, monkeypatch, **loss_scale):
    """Train on the CPU with this loss scale."""
    allow_on_cpu(monkeypatch)
    for wrapper in (config.optim_wrapper.network, config.optim_wrapper.discriminators):
        del wrapper.precision
        wrapper.update(type='AmpOptimWrapper', dtype='float16', loss_scale=loss_scale)
    return train(config)


def scales(runner):
    return [wrapper.loss_scaler.get_scale() for wrapper in runner.optim_wrapper.values()]


def test_the_search_for_a_loss_scale_is_no_failure(toy_config, monkeypatch):
    """The first scales are too high: steps are skipped as a whole until one fits."""
    config = toy_config('warmup', 6, 6, **TOGETHER)
    config.default_hooks.finite_loss.patience = 1
    runner, after = train_in_fp16(config, monkeypatch, init_scale=2.0**20)
    (log,) = Path(runner.work_dir).glob('*/*.log')
    lines = [line for line in log.read_text().splitlines() if 'is skipped' in line]
    assert all('a gradient overflows float16; the loss scale is' in line for line in lines)
    assert all('WARNING' not in line and 'Images' not in line for line in lines)
    skipped = {int(re.search(r'Iteration (\d+) ', line)[1]) for line in lines}
    assert {1, 2} < skipped < {*range(1, 7)}
    for number in range(2, 7):
        is_unchanged = all(map(torch.equal, after[number - 2], after[number - 1]))
        assert is_unchanged is (number in skipped)
    assert all(torch.isfinite(each).all() for each in after[-1])
    assert scales(runner)[0] == 2.0 ** (20 - len(skipped))


def test_gradients_that_are_not_finite_at_any_loss_scale_end_the_training(
    toy_config, break_gradients, monkeypatch
):
    break_gradients(*range(1, 9))
    config = toy_config('warmup', 8, 8, **TOGETHER)
    config.default_hooks.finite_loss.patience = 2
    with pytest.raises(InputError, match='not finite in 2 consecutive iterations, the last is '):
        train_in_fp16(config, monkeypatch, init_scale=4.0)


def test_losses_that_are_not_finite_end_it_in_fp16_as_well(toy_config, break_steps, monkeypatch):
    break_steps(2, 3, 4)
    config = toy_config('warmup', 8, 8, **TOGETHER)
    config.default_hooks.finite_loss.patience = 3
    with pytest.raises(InputError, match='not finite in 3 consecutive iterations, the last is 4: '):
        train_in_fp16(config, monkeypatch, init_scale=64.0)


def test_a_resumed_run_in_fp16_has_its_loss_scales(toy_config, monkeypatch):
    options = {'default_hooks.checkpoint.max_keep_ckpts': -1}
    runner, after = train_in_fp16(
        toy_config('warmup', 4, 2, **options, **TOGETHER),
        monkeypatch,
        init_scale=2.0**20,
        growth_interval=2,
    )
    config = toy_config('warmup', 4, 2, **options, **TOGETHER)
    config.load_from, config.resume = str(Path(config.work_dir, 'iter_2.pth')), True
    config.experiment_name += '_resumed'
    resumed, again = train_in_fp16(config, monkeypatch, init_scale=2.0**9, growth_interval=2)
    assert scales(resumed) == scales(runner)
    assert all(map(torch.equal, after[-1], again[-1]))


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
    runner.optim_wrapper = None
    batch, outputs = dict(source=source, targets=[target]), dict(loss=torch.tensor(torch.inf))
    hook.after_train_iter(runner, 0, batch, outputs)
    hook.after_train(runner)


def test_too_many_in_a_row_end_the_training(toy_config, break_steps):
    break_steps(2, 4, 5, 6)
    config = toy_config('warmup', 8, 8, **TOGETHER)
    config.default_hooks.finite_loss.patience = 3
    with pytest.raises(InputError, match='not finite in 3 consecutive iterations, the last is 6: '):
        train(config)
