"""Baseline: image optimisation after Gatys et al. (2016), and the comparison of trained networks with it.

optimize.py     optimize: one photo, from coarse to fine
problem.py      builds inputs, losses, start and method from the settings
minimize.py     L-BFGS and Adam on the pixels of an image
reconstruct.py  Figure 1 of Gatys et al.: what each layer keeps of an image
contest.py      the loss that a style was trained with, and the optimiser's curve on it
compare.py      a trained network beside the optimiser: losses and times
report.py       a comparison as tables, plots and sheets
checks.py       checks of settings and files, before torch is loaded
settings.py     the settings of the three commands
commands.py     `fastnst optimize`, `reconstruct`, `compare`
"""
