"""Rules that predict a black box: stated in one sentence, learned, with a measured error (section 3 of the paper)."""

from blackbox_explain.binomial_interval import clopper_pearson
from blackbox_explain.data.samples import Samples
from blackbox_explain.rules.measuring.faithfulness import Faithfulness, faithfulness
from blackbox_explain.rules.measuring.intervals import ConfidenceSequence
from blackbox_explain.rules.measuring.joint_region import JointRegion, joint_region
from blackbox_explain.rules.measuring.learning import Learned, learn
from blackbox_explain.rules.measuring.search import MostInformative, most_informative
from blackbox_explain.rules.questions import Questions
from blackbox_explain.rules.relations import (
    CATALOGUE,
    Brightness,
    Contrast,
    Crop,
    GaussianBlur,
    GaussianNoise,
    GreyScale,
    HorizontalFlip,
    Hue,
    Jpeg,
    Occlusion,
    Relation,
    Resolution,
    Rotation,
    Saturation,
    Scale,
    Translation,
)
from blackbox_explain.rules.relations.deletion import Deletion
from blackbox_explain.rules.repeated_samples import RepeatedSamples
from blackbox_explain.rules.statements.equivariance import Equivariance
from blackbox_explain.rules.statements.invariance import Invariance
from blackbox_explain.rules.statements.local_linear import Taylor, taylor_maps
from blackbox_explain.rules.statements.object_decides import ObjectDecides
from blackbox_explain.rules.statements.region_decides import RegionDecides, mask_trials
from blackbox_explain.rules.statements.rule import Outcome, Rule, Subset
from blackbox_explain.rules.studies.classification import Classification, class_rules, recall_and_precision
from blackbox_explain.rules.studies.examination import Examination, examine
from blackbox_explain.rules.studies.saliency_maps import Predictors, compare_predictors
from blackbox_explain.rules.studies.shortcuts import Shortcuts, find_shortcuts

__all__ = [
    "CATALOGUE",
    "Brightness",
    "Classification",
    "ConfidenceSequence",
    "Contrast",
    "Crop",
    "Deletion",
    "Equivariance",
    "Examination",
    "Faithfulness",
    "GaussianBlur",
    "GaussianNoise",
    "GreyScale",
    "HorizontalFlip",
    "Hue",
    "Invariance",
    "JointRegion",
    "Jpeg",
    "Learned",
    "MostInformative",
    "ObjectDecides",
    "Occlusion",
    "Outcome",
    "Predictors",
    "Questions",
    "RegionDecides",
    "Relation",
    "RepeatedSamples",
    "Resolution",
    "Rotation",
    "Rule",
    "Samples",
    "Saturation",
    "Scale",
    "Shortcuts",
    "Subset",
    "Taylor",
    "Translation",
    "class_rules",
    "clopper_pearson",
    "compare_predictors",
    "examine",
    "faithfulness",
    "find_shortcuts",
    "joint_region",
    "learn",
    "mask_trials",
    "most_informative",
    "recall_and_precision",
    "taylor_maps",
]
