"""Training: style images and photos in, a style file out.

train.py          train: the whole run
style_trainer.py  StyleTrainer: the Lightning module; a step, an evaluation, what a checkpoint holds
data.py           PhotoDataModule: photos as batches
sources.py        where photos come from: a folder, the samples, the Hugging Face Hub
schedule.py       learning rate and crop size in the course of a run
muon.py           the optimiser of the network's filters
balance.py        `--style-weight auto`
warm_start.py     a trained network as the start for new styles
alarms.py         early warnings: the style loss does not fall, the output saturates, one style swallows another
monitor.py        progress bar, previews, checkpoints, a stop that loses nothing
run.py            a run's folder: what it is called, whether it may begin or go on
claim.py          two trainings of one name: the second is refused
checks.py         everything that can be checked before torch is loaded
probe.py          short trainings at several style weights and sizes
settings.py       the settings of `fastnst train` and `fastnst probe`
commands.py       `fastnst train`, `probe`
"""
