import torch

from mlcl_mmseg.methods.mcl import losses


def test_masks_are_those_of_all_processes_only_for_a_global_batch(monkeypatch):
    asked = []
    monkeypatch.setattr(losses, 'sum_of_shares', lambda share: asked.append(share) or share)
    kept = torch.tensor([[[True, False, True]], [[True, True, True]]])
    loss = torch.tensor([[[1.0, 0, 2]], [[3, 4, 5]]])
    # each pixel's loss as often as it is kept in any sample
    expected = (2 * (1 + 3) + 1 * (0 + 4) + 2 * (2 + 5)) / 5
    assert losses.masked_mean(loss, kept, True).item() == torch.tensor(expected)
    assert losses.masked_mean(loss, kept, False).item() == 15 / 5
    assert asked == []
    assert losses.masked_mean(loss, kept, True, global_batch=True).item() == torch.tensor(expected)
    (share,) = asked
    assert share.tolist() == [[2, 1, 2]]
