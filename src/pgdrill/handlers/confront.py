"""The function `confront`: cross-examines the drill's copy with the export of its point, where there is one.

The only function that reads Parquet, with a zip of its own.
"""

from pgdrill.drills.state import Step
from pgdrill.exporting import confrontation
from pgdrill.handlers.boundary import function
from pgdrill.handlers.steps import DrillRequest, step

handler = function(DrillRequest, step(Step.JUDGE, confrontation.confront))
