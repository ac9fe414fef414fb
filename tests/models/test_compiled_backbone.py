"""A compiled backbone computes the same steps as one that is not."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper

from mlcl_mmseg.errors import InputError

# traced as for a GPU, in one graph, but not translated to machine code, which takes minutes
TRACED = dict(backend='aot_eager', fullgraph=True)


@pytest.mark.parametrize('backward', ['together', 'per_target'])
def test_steps_are_the_same(build_tiny, random_batch, backward):
    """Figures, weights and running statistics, with several passes in a batch."""
    batch, results = random_batch(), []
    for options in (None, TRACED):
        model = build_tiny('MCLSegmentor', backward=backward, compile_backbone=options)
        model.double().train()
        model.data_preprocessor.forward = lambda data, training: dict(inputs=data)
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
        figures = [model.train_step(batch, wrapper) for _ in range(2)]
        results.append((figures, model.state_dict()))
    torch.testing.assert_close(results[1], results[0])


def test_copies_and_checkpoints_do_not_know_of_it(build_tiny):
    plain = build_tiny('SourceOnly')
    compiled = build_tiny('SourceOnly', compile_backbone=TRACED)
    assert list(plain.state_dict()) == list(compiled.state_dict())
    image = torch.rand(1, 3, 32, 48)
    again = copy.deepcopy(compiled).eval()
    torch.testing.assert_close(again.extract_feat(image), compiled.eval().extract_feat(image))


def test_what_cannot_be_combined(build_tiny):
    with pytest.raises(InputError, match='recompute_activations and model.compile_backbone cannot'):
        build_tiny('SourceOnly', recompute_activations=True, compile_backbone={})
