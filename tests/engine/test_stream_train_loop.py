"""Where a batch lies before it goes to the device."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mlcl_mmseg.engine.stream_train_loop import StreamTrainLoop
from mlcl_mmseg.models.data_preprocessor import MultiDomainDataPreprocessor


@pytest.mark.parametrize(
    ('has_gpu', 'config', 'expected'),
    [(True, {}, True), (False, {}, False), (True, dict(pin_memory=False), False)],
)
def test_batches_are_pinned_where_there_is_a_gpu(monkeypatch, has_gpu, config, expected):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: has_gpu)
    loader = SimpleNamespace(dataset=SimpleNamespace(metainfo={}))
    built = []
    runner = SimpleNamespace(
        _randomness_cfg={},
        model=torch.nn.Identity(),
        seed=0,
        visualizer=SimpleNamespace(),
        build_dataloader=lambda config, **kwargs: built.append(config) or loader,
    )
    StreamTrainLoop(runner, config, max_iters=1)
    assert built == [dict(pin_memory=expected)]


def test_a_drawn_seed_is_that_of_the_resumed_stream(toy_config):
    """MMEngine builds the loader with a new seed before it reads that of the checkpoint."""
    seen = []

    class Seeds(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            batch = [name for each in data_batch['targets'] for name in each['img_path']]
            seen.append((runner.iter, runner.seed, *batch))

    for resume in (False, True):
        config = toy_config('warmup', 2, 1)
        config.randomness = dict(seed=None)
        config.default_hooks.checkpoint.interval = 1
        if resume:
            config.resume, config.load_from = True, f'{config.work_dir}/iter_1.pth'
            config.experiment_name += '_resumed'
        runner = Runner.from_cfg(config)
        runner.register_hook(Seeds())
        runner.train()
    assert [step[0] for step in seen] == [0, 1, 1]
    assert seen[1] == seen[2]


def test_the_host_does_not_wait_for_copies(monkeypatch):
    waits, to = [], torch.Tensor.to

    def record(tensor, *args, non_blocking=False, **kwargs):
        waits.append(not non_blocking)
        return to(tensor, *args, **kwargs)

    image = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    preprocessor = MultiDomainDataPreprocessor()
    monkeypatch.setattr(torch.Tensor, 'to', record)
    preprocessor(dict(source=dict(img=image), targets=[dict(img=image)]), True)
    assert waits == [False, False]
