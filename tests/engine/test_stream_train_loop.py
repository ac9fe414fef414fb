"""Where a batch lies before it goes to the device."""

from types import SimpleNamespace

import pytest
import torch

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
