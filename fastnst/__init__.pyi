from .baseline.optimize import optimize
from .baseline.settings import OptimizeSettings
from .exporting.export import export
from .exporting.settings import ExportSettings
from .networks.network import TransformationNetwork
from .networks.style_file import StyleFile, load_style, save_style
from .painting.stylizer import Stylizer
from .perception.loss_network import LossNetwork
from .perception.perceptual_loss import PerceptualLoss
from .training.data import PhotoDataModule
from .training.settings import TrainSettings
from .training.style_trainer import StyleTrainer
from .training.train import train

__version__: str

__all__ = [
    "ExportSettings",
    "LossNetwork",
    "OptimizeSettings",
    "PerceptualLoss",
    "PhotoDataModule",
    "StyleFile",
    "StyleTrainer",
    "Stylizer",
    "TrainSettings",
    "TransformationNetwork",
    "__version__",
    "export",
    "load_style",
    "optimize",
    "save_style",
    "train",
]
