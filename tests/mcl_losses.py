"""The losses of one part of a step of MCL."""


def source_losses(model, batch):
    """The loss of each head on the source."""
    (logits,) = model.part_logits([model.source_part(batch['source'], batch['targets'])])
    return model.source_losses(logits, batch['source']['label'])


def target_losses(model, index, targets):
    """The losses and figures of a target, by name."""
    (logits,) = model.part_logits([model.target_part(index, targets)])
    return model.target_losses(logits, index, targets[index])
