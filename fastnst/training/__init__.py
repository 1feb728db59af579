"""Training: style images and photos in, a style file out; photos in, the network for any painting out.

train.py          train: the whole run
style_trainer.py  StyleTrainer: the Lightning module; a step, an evaluation, what a checkpoint holds
timed_module.py   TimedModule: what the Lightning modules share: the clock that ends a run, the schedule
data.py           PhotoDataModule: photos as batches
sources.py        where photos come from: a folder, the samples, the Hugging Face Hub
schedule.py       progress of a run, and learning rate and crop size
muon.py           the optimiser of the network's filters
pooled.py         PooledStatistics: what the photos of a training have of the style together
balance.py        `--style-weight auto`
warm_start.py     a trained network as the start for new styles
alarms.py         early warnings: the style loss does not fall, the output saturates, one style swallows another
monitor.py        progress bar, previews, checkpoints, an orderly stop
events.py         TensorBoard's events, without which a training goes on; silence for what libraries say
checkpoint.py     the checkpoint of a run, looked at before it is loaded
run.py            a run's folder: its name, and whether the run may start or be resumed
claim.py          the lock on a run's name
processes.py      the processes of a distributed run: which one this is, whether as many were started
together.py       Together: data-parallel training, whose processes end when one of them is lost
checks.py         checks of settings and files, before torch is loaded
network_run.py    train_network: the run of the two below
universal.py      train_universal: trains the autoencoder for any painting
universal_trainer.py  UniversalTrainer: its Lightning module
base.py           train_base: trains a network for many paintings with a predictor of its norms
base_trainer.py   BaseTrainer: its Lightning module
paintings.py      PaintingFolder: the paintings, and what a training needs of each
probe.py          short trainings at several style weights and sizes
settings.py       the settings of the commands
commands.py       `fastnst train`, `train-universal`, `train-base`, `probe`
"""
