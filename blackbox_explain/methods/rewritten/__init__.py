"""Methods that change how a gradient passes the operators: guided backpropagation, DeConvNet, excitation, LRP."""

from blackbox_explain.methods.rewritten.excitation import ContrastiveExcitationBackprop, ExcitationBackprop
from blackbox_explain.methods.rewritten.guided import DeconvNet, GuidedBackprop
from blackbox_explain.methods.rewritten.lrp import Lrp

__all__ = ["ContrastiveExcitationBackprop", "DeconvNet", "ExcitationBackprop", "GuidedBackprop", "Lrp"]
