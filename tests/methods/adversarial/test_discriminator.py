import pytest
import torch

from mlcl_mmseg.methods.adversarial import DiscriminatorBank, DomainDiscriminator


def test_channels_and_sizes_of_the_layers():
    """Each convolution halves the size and rounds up."""
    discriminator = DomainDiscriminator(num_classes=3)
    shapes = []
    for layer in ('conv1', 'conv2', 'conv3', 'conv4', 'classifier'):
        getattr(discriminator, layer).register_forward_hook(
            lambda module, inputs, output: shapes.append(tuple(output.shape))
        )
    discriminator(torch.rand(1, 3, 33, 65))
    assert shapes == [
        (1, 64, 17, 33),
        (1, 128, 9, 17),
        (1, 256, 5, 9),
        (1, 512, 3, 5),
        (1, 1, 3, 5),
    ]


@pytest.mark.parametrize(
    ('layer', 'expected'), [('conv1', 1), ('conv2', 1), ('conv3', 1), ('conv4', 1 - 0.2)]
)
def test_negative_activations_by_hand(layer, expected):
    """They become 0 after the first three convolutions and a fifth after the last one."""
    discriminator = DomainDiscriminator(num_classes=3)
    for module in discriminator.children():
        if hasattr(module, 'bias'):
            torch.nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            torch.nn.init.constant_(module.bias, 0)
    torch.nn.init.constant_(discriminator.classifier.bias, 1)
    torch.nn.init.constant_(getattr(discriminator, layer).bias, -1)
    logit = discriminator(torch.zeros(1, 3, 16, 16))
    assert logit.item() == pytest.approx(expected)


def test_a_bank_gives_each_discriminator_its_own_maps():
    bank = DiscriminatorBank([DomainDiscriminator(3) for _ in range(2)])
    source, target = torch.rand(2, 1, 3, 16, 16), torch.rand(2, 1, 3, 16, 16)
    for index, (of_source, of_target) in enumerate(bank(source, target)):
        assert torch.equal(of_source, bank[index](source[index]))
        assert torch.equal(of_target, bank[index](target[index]))
