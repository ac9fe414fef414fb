from .domain_discriminator import DiscriminatorBank, DomainDiscriminator

__all__ = ['DiscriminatorBank', 'DomainDiscriminator']
