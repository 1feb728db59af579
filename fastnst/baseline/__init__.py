"""Baseline: image optimisation after Gatys et al. (2016), and what a trained network is worth beside it.

optimize.py     optimize: one photo, from coarse to fine
problem.py      the optimisation problem that the settings stand for: inputs, losses, start, method
minimize.py     L-BFGS and Adam on the pixels of an image
reconstruct.py  Figure 1 of Gatys et al.: what each layer keeps of an image
contest.py      the objective that a style was trained for, and the optimiser's curve on it
compare.py      a trained network beside the optimiser: losses and times
report.py       a comparison as tables, plots and sheets
checks.py       everything that can be checked before torch is loaded
settings.py     the settings of the three commands
commands.py     `fastnst optimize`, `reconstruct`, `compare`
"""
