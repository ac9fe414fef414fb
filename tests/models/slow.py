"""Slow, obvious float64 versions of the losses: one pixel at a time, straight from the method."""

import math

import numpy as np

IGNORE = 255


def softmax(logits):
    exponentials = [math.exp(value - max(logits)) for value in logits]
    return [value / sum(exponentials) for value in exponentials]


def cross_entropy(logits, label):
    return -math.log(softmax(logits)[label])


def kl(p_logits, q_logits):
    """KL(p ‖ q) of two pixels."""
    return sum(a * math.log(a / b) for a, b in zip(softmax(p_logits), softmax(q_logits)))


def pixels(logits):
    """(B, C, h, w) to an object array (B, h, w) of lists of C logits."""
    logits = logits.detach().numpy()
    batch, _, height, width = logits.shape
    out = np.empty((batch, height, width), object)
    for b, y, x in np.ndindex(batch, height, width):
        out[b, y, x] = logits[b, :, y, x].tolist()
    return out


def resize(image, height, width):
    """Bilinear with aligned corners, one output pixel at a time; (B, C, h, w) numpy."""
    batch, channels, h, w = image.shape
    out = np.zeros((batch, channels, height, width))
    for y in range(height):
        for x in range(width):
            v = y * (h - 1) / (height - 1)
            u = x * (w - 1) / (width - 1)
            y0, x0 = min(int(v), h - 2), min(int(u), w - 2)
            dy, dx = v - y0, u - x0
            out[:, :, y, x] = (
                image[:, :, y0, x0] * (1 - dy) * (1 - dx)
                + image[:, :, y0, x0 + 1] * (1 - dy) * dx
                + image[:, :, y0 + 1, x0] * dy * (1 - dx)
                + image[:, :, y0 + 1, x0 + 1] * dy * dx
            )
    return out


def source_loss(logits, label):
    logits = pixels(logits)
    losses = [
        cross_entropy(logits[place], label[place].item())
        for place in np.ndindex(*label.shape)
        if label[place] != IGNORE
    ]
    return sum(losses) / len(losses)


def self_information(logits):
    logits = pixels(logits)
    classes = len(logits[0, 0, 0])
    out = np.zeros((logits.shape[0], classes, *logits.shape[1:]))
    for b, y, x in np.ndindex(*logits.shape):
        for c, p in enumerate(softmax(logits[b, y, x])):
            out[b, c, y, x] = -p * math.log2(p + 1e-30) / math.log2(classes)
    return out


def gan(logits, said, kind):
    losses = []
    for value in logits.detach().flatten().tolist():
        if kind == 'LS':
            losses.append((value - said) ** 2)
        else:
            p = 1 / (1 + math.exp(-value))
            losses.append(-math.log(p) if said == 1 else -math.log(1 - p))
    return sum(losses) / len(losses)


def select(soft):
    """Hard pseudo-labels (B, h, w) of soft ones on the label grid (B, C, h, w) numpy."""
    batch, classes, height, width = soft.shape
    places = list(np.ndindex(batch, height, width))
    entropy, hard = {}, {}
    for b, y, x in places:
        p = soft[b, :, y, x]
        entropy[b, y, x] = -sum(v * math.log2(v + 1e-30) for v in p) / math.log2(classes)
        hard[b, y, x] = int(np.argmax(p))
    label = np.full((batch, height, width), IGNORE)
    for c in range(classes):
        of_class = sorted(entropy[place] for place in places if hard[place] == c)
        threshold = of_class[round(0.5 * len(of_class))] if len(of_class) > 1 else sum(of_class)
        for place in places:
            if hard[place] == c and entropy[place] < max(0.25, threshold):
                label[place] = c
    return label


def warp(label, affine, cutout):
    """Follow every pixel of the strong view back to the weak view, on a quarter grid."""
    height, width = label.shape[1:]
    out = np.full_like(label, IGNORE)
    for b, y, x in np.ndindex(*label.shape):
        centre = np.array([(x + 0.5) * 4, (y + 0.5) * 4, 1])
        u, v = affine[b].numpy().astype(float) @ centre / 4
        x0, y0, x1, y1 = (int(side) // 4 for side in cutout[b])
        cut = x0 <= x < x1 and y0 <= y < y1
        if 0 <= u < width and 0 <= v < height and not cut:
            out[b, y, x] = label[b, int(v), int(u)]
    return out


def self_training(logits, label, weight, cross_sample_mask):
    """Weighted cross-entropy of kept pixels, reduced in either way of Q1."""
    logits = pixels(logits)
    kept = label != IGNORE
    total = 0.0
    for b in range(len(label)):
        for y, x in np.ndindex(*label.shape[1:]):
            if not kept[b, y, x]:
                continue
            loss = weight[b, y, x] * cross_entropy(logits[b, y, x], label[b, y, x])
            masks = range(len(label)) if cross_sample_mask else [b]
            total += sum(loss for mask in masks if kept[mask, y, x])
    return total / max(kept.sum(), 1)


def agreement(own, others):
    own, others = pixels(own), [pixels(other) for other in others]
    weight = np.ones(own.shape)
    if others:
        for place in np.ndindex(*own.shape):
            values = [math.exp(-kl(own[place], other[place])) for other in others]
            weight[place] = sum(values) / len(values)
    return weight


def distillation(student, teacher):
    student, teacher = pixels(student), pixels(teacher)
    classes = len(student[0, 0, 0])
    total = sum(kl(teacher[place], student[place]) for place in np.ndindex(*student.shape))
    return total / (student.size * classes)
