"""Perception: frozen features by layer name, and the losses on them.

Knows nothing of networks that paint, of runs or of style files.

    losses.py           gram_matrix, content_loss, style_loss, total_variation
    normalizations.py   how each paper puts numbers on the distances
    perceptual_loss.py  PerceptualLoss: the objective of `optimize` and `train`
    loss_network.py     LossNetwork: features by layer name
    architectures.py    VGG, DenseNet and SqueezeNet as named steps, and the scale of images that each wants
    weights.py          where their weights come from
    objective.py        builds loss network and objective from settings
    settings.py         the settings of an objective
"""
