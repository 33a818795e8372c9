# The public names: read by type checkers, and by __init__.py, which imports each of
# them when it is first used.

from jaxdiff import rng as rng
from jaxdiff.api.model import Model as Model
from jaxdiff.api.model import load as load
from jaxdiff.api.training import fit as fit
from jaxdiff.diffusion import analytic as analytic
from jaxdiff.diffusion import arguments as arguments
from jaxdiff.diffusion import bpd as bpd
from jaxdiff.diffusion import clusters as clusters
from jaxdiff.diffusion import conditions as conditions
from jaxdiff.diffusion import denoisers as denoisers
from jaxdiff.diffusion import density as density
from jaxdiff.diffusion import editing as editing
from jaxdiff.diffusion import experts as experts
from jaxdiff.diffusion import fitted_grid as fitted_grid
from jaxdiff.diffusion import grids as grids
from jaxdiff.diffusion import guidance as guidance
from jaxdiff.diffusion import inputs as inputs
from jaxdiff.diffusion import inverse_problems as inverse_problems
from jaxdiff.diffusion import inversion as inversion
from jaxdiff.diffusion import levels as levels
from jaxdiff.diffusion import likelihood as likelihood
from jaxdiff.diffusion import losses as losses
from jaxdiff.diffusion import moves as moves
from jaxdiff.diffusion import noises as noises
from jaxdiff.diffusion import orders as orders
from jaxdiff.diffusion import posterior as posterior
from jaxdiff.diffusion import predictions as predictions
from jaxdiff.diffusion import respacing as respacing
from jaxdiff.diffusion import rules as rules
from jaxdiff.diffusion import sample_moments as sample_moments
from jaxdiff.diffusion import sampling as sampling
from jaxdiff.diffusion import scalings as scalings
from jaxdiff.diffusion import schedules as schedules
from jaxdiff.diffusion import solvers as solvers
from jaxdiff.diffusion import term_weights as term_weights
from jaxdiff.diffusion import times as times
from jaxdiff.diffusion import types as types
from jaxdiff.diffusion import upsampling as upsampling
from jaxdiff.diffusion import weights as weights
from jaxdiff.diffusion.denoisers import clip as clip
from jaxdiff.diffusion.denoisers import make_denoise as make_denoise
from jaxdiff.diffusion.guidance import cfg as cfg
from jaxdiff.diffusion.levels import coeffs as coeffs
from jaxdiff.diffusion.losses import Objective as Objective
from jaxdiff.diffusion.losses import denoising_loss as denoising_loss
from jaxdiff.diffusion.sampling import init_noise as init_noise
from jaxdiff.diffusion.sampling import sample as sample
from jaxdiff.diffusion.types import Coeffs as Coeffs
from jaxdiff.diffusion.types import Denoise as Denoise
from jaxdiff.diffusion.types import Denoised as Denoised
from jaxdiff.diffusion.types import Schedule as Schedule
from jaxdiff.diffusion.types import Solver as Solver

__version__: str
