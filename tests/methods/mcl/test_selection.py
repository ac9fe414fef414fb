import torch

from mlcl_mmseg.methods.mcl.selection import normalised_entropy, select_pseudo_label


def test_entropy_by_hand():
    """In units of log2(C); finite where a class is impossible."""
    columns = [[1, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]]
    probability = torch.tensor(columns).T[None, :, None]
    assert normalised_entropy(probability)[0, 0].tolist() == [0, 1, 0.5]


def test_a_pixel_is_kept_below_the_threshold_of_its_class():
    """Entropies are 0.92, 0.97 and 1 of class 0, and 1 of the only pixel of class 1."""
    first = torch.tensor([0.66, 0.6, 0.5001, 0.4995])
    soft = torch.stack([first, 1 - first])[None, :, None]
    size = 1, 4
    # half of 3 is rounded to 2
    assert select_pseudo_label(soft, size=size).tolist() == [[[0, 0, 255, 255]]]
    assert select_pseudo_label(soft, quantile=0.3, size=size).tolist() == [[[0, 255, 255, 255]]]
    assert select_pseudo_label(soft, quantile=1.0, size=size).tolist() == [[[0, 0, 255, 255]]]
    assert select_pseudo_label(soft, quantile=0.0, size=size).tolist() == [[[255] * 4]]
    assert select_pseudo_label(soft, 0.0, 0.99, size=size).tolist() == [[[0, 0, 255, 255]]]


def test_certain_pixels_are_always_kept():
    """Below an entropy of 0.25, of whatever class."""
    first = torch.tensor([0.97, 0.96, 0.95])
    soft = torch.stack([first, 1 - first])[None, :, None]
    entropy = normalised_entropy(soft)[0, 0]
    assert entropy[0] < 0.25 < entropy[2] and entropy[1] < 0.25
    assert select_pseudo_label(soft, quantile=0.0, size=(1, 3)).tolist() == [[[0, 0, 255]]]
