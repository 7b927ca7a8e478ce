"""The function `unlock`: sets a password of the drill's own, and waits until it holds."""

from pgdrill.drills import drill
from pgdrill.drills.state import Step
from pgdrill.handlers.boundary import function
from pgdrill.handlers.steps import DrillRequest, step

handler = function(DrillRequest, step(Step.UNLOCK, drill.unlock))
