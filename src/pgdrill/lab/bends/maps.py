"""The emulator runs a distributed Map by the rules of JSONPath alone; AWS runs it in either query language.

In JSONata its items were the state's whole input. Here a distributed Map over items of the state's own runs its items
as an inline one does, which gives the same result; what sets it apart (items read from S3, batches, results written
to S3, tolerated failures) fails the state rather than being pretended.

Source: Step Functions Developer Guide, "Using Map state in Distributed mode".
"""

from typing import Any

from ministack.services import stepfunctions

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.bends.tasks import failure
from pgdrill.lab.rds.service import Rds

UNSERVED = (
    "ItemReader",
    "ItemBatcher",
    "ResultWriter",
    "ToleratedFailureCount",
    "ToleratedFailurePercentage",
)


def apply(_: Rds) -> None:
    graft(stepfunctions, "_run_map_items(state_def, raw_input, execution, ctx)", _inline)


def _inline(original: Function) -> Function:
    def run_map_items(state_def: dict[str, Any], raw_input: Any, execution: Any, ctx: Any) -> Any:
        processor = state_def.get("ItemProcessor", {})
        if processor.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
            if unserved := [name for name in UNSERVED if name in state_def]:
                raise failure("States.Runtime", f"The lab does not serve {unserved[0]} of a distributed Map")
            without = {name: value for name, value in processor.items() if name != "ProcessorConfig"}
            state_def = state_def | {"ItemProcessor": without}
        return original(state_def, raw_input, execution, ctx)

    return run_map_items
