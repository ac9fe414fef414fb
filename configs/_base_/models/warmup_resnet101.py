# Adversarial warm-up
_base_ = './frozen_resnet101.py'
model = dict(
    type='AdversarialWarmup',
    discriminator=dict(type='DomainDiscriminator'),
    gan='vanilla',
    evaluate_with='own_head',
)
