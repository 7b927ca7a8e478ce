"""The function `restore`: asks RDS for the temporary instance."""

from pgdrill.drills import drill
from pgdrill.drills.state import Step
from pgdrill.handlers.boundary import function
from pgdrill.handlers.steps import DrillRequest, step

handler = function(DrillRequest, step(Step.RESTORE, drill.restore))
