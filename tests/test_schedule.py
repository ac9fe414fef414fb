import torch
from mmengine.optim import PolyLR


def test_iteration_k_trains_at_the_released_rate():
    """lr · (1 − k/T)^0.9 with the configs' end = T + 1."""
    total = 60
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.5e-4)
    scheduler = PolyLR(optimizer, power=0.9, eta_min=0, begin=0, end=total + 1, by_epoch=False)
    for k in range(total):
        expected = 2.5e-4 * (1 - k / total) ** 0.9
        assert abs(optimizer.param_groups[0]['lr'] - expected) < 1e-12
        optimizer.step()
        scheduler.step()
