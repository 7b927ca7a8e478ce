"""The function `observe`: sees whether the temporary instance is there, and apart."""

from pgdrill.drills import drill
from pgdrill.drills.state import Step
from pgdrill.handlers.boundary import function
from pgdrill.handlers.steps import DrillRequest, step

handler = function(DrillRequest, step(Step.OBSERVE, drill.observe))
