"""Any painting at once: universal style transfer by whitening and colouring of features (Li et al., 2017).

Knows nothing of files, commands and training; the training is in `training/`.

    transform.py    whitening and colouring
    autoencoder.py  Autoencoder: an encoder like VGG19, and the decoder that inverts it
    painter.py      UniversalPainter: paints photos like paintings
    predictor.py    predicts the norms of a trained network from a painting
    file.py         the autoencoder's file
    names.py        paintings that a style may name; imports no torch
"""
