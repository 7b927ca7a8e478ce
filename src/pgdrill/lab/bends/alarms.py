"""The emulator looks at alarms when data arrive, past dimensions and missing data; AWS looks by itself, at all of it.

Metrics and alarms are those of `pgdrill.lab.cloudwatch`; of the emulator's CloudWatch there remain how requests are
read and answered, tags, dashboards, and where alarms are kept. A month of data, published with their timestamps, is
watched in seconds: `watch` says when time passes.

Source: as in the modules of `pgdrill.lab.cloudwatch`; CloudWatch API reference.
"""

import json
import threading
from http import HTTPStatus
from typing import Any

from ministack.services import cloudwatch

from pgdrill.lab.bends import metric_requests
from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.bends.metric_requests import answering, refused
from pgdrill.lab.bends.watch import WATCH, Body, now, remember
from pgdrill.lab.cloudwatch import alarms, rules
from pgdrill.lab.cloudwatch.alarms import Alarm
from pgdrill.lab.rds.service import Rds

STATE_KEY = "pgdrill"  # what the emulator's saved state holds our metrics under
# Members of a request that the emulator drops.
OF_METRICS = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit")
OF_PUT_METRIC_ALARM = ("Metrics", "EvaluateLowSampleCountPercentile", "WarmUpConfiguration")
OF_PUT_COMPOSITE = (
    "ActionsSuppressor",
    "ActionsSuppressorWaitPeriod",
    "ActionsSuppressorExtensionPeriod",
    alarms.MEMORY,
)


def apply(rds: Rds) -> None:
    WATCH.clock = rds.clock
    requests = "(params, cbor_data, is_cbor, is_json)"
    replaced: dict[str, Function] = {
        "_evict_old_metrics()": lambda: None,
        "_evaluate_all_alarms()": lambda: None,
        "_evaluate_alarm(alarm)": lambda _: None,
        "_transition_composite(alarm, new_state, reason, triggers, seen)": lambda *_: None,
        "_record_history(alarm_name, old_state, new_state, reason, alarm_type, reason_data)": _created,
        "_dispatch_alarm_actions(alarm, old_state, new_state, reason)": _state_set,
        "_evaluate_parent_alarms(child, seen)": lambda *_: WATCH.region().settle(now()),
        "_store_datum(namespace, name, dims, ts, unit, value, values, counts, stat_values)": metric_requests.store,
        "record_metric(namespace, metric_name, value, unit, dimensions)": metric_requests.record,
        f"_list_metrics{requests}": answering(metric_requests.list_metrics),
        f"_get_metric_statistics{requests}": answering(metric_requests.get_metric_statistics),
        f"_get_metric_data{requests}": answering(metric_requests.get_metric_data),
    }
    for signature, ours in replaced.items():
        graft(cloudwatch, signature, lambda _, ours=ours: ours)  # type: ignore[misc] # what is in the loop now
    graft(cloudwatch, f"_put_metric_data{requests}", _put_metric_data)
    graft(cloudwatch, f"_put_metric_alarm{requests}", _put_metric_alarm)
    graft(cloudwatch, f"_put_composite_alarm{requests}", _put_composite_alarm)
    graft(cloudwatch, f"_set_alarm_state{requests}", _locked)
    graft(cloudwatch, f"_delete_alarms{requests}", _locked)
    graft(cloudwatch, "get_state()", lambda original: lambda: original() | {STATE_KEY: WATCH.dump()})
    graft(cloudwatch, "_restore_state(data)", _restoring)
    threading.Thread(target=WATCH.look_for_ever, name="alarms", daemon=True).start()


def _restoring(original: Function) -> Function:
    def restore_state(data: Body | None) -> None:
        if data:
            WATCH.load(data.pop(STATE_KEY, {}))
        original(data)

    return restore_state


def _locked(original: Function) -> Function:
    def handle(params: Any, cbor_data: Body, is_cbor: bool, is_json: bool = False) -> Any:
        with WATCH.lock:
            return original(params, cbor_data, is_cbor, is_json)

    return handle


def _created(name: str, old: str, new: str, _: str, kind: str = "MetricAlarm", __: Any = None) -> None:
    """Remember that an alarm was made; the emulator tells of that as a transition that is none."""
    if old == new:
        alarm = {"AlarmName": name} | ({"AlarmRule": ""} if kind == "CompositeAlarm" else {})
        remember(
            alarm, "ConfigurationUpdate", f'Alarm "{name}" created', json.dumps({"type": "Create"}), now()
        )


def _state_set(alarm: Alarm, old: str, _: str, __: str) -> None:
    """Follow SetAlarmState, which has written the new state already."""
    WATCH.region().announce(alarm, {"StateValue": old}, now())


def _put_metric_data(original: Function) -> Function:
    def put(params: Any, body: Body, is_cbor: bool, is_json: bool = False) -> Any:
        for datum in body.get("MetricData", ()):
            datum.setdefault("Timestamp", now())
        return original(params, body, is_cbor, is_json)

    return put


def _put_metric_alarm(original: Function) -> Function:
    def put(params: Any, body: Body, is_cbor: bool, is_json: bool = False) -> Any:
        if not (is_cbor or is_json):
            return refused("the lab takes alarms in CBOR or JSON alone", is_cbor, is_json)
        try:
            alarms.definition(body)
        except (KeyError, TypeError, ValueError) as error:
            return refused(str(error), is_cbor, is_json)
        with WATCH.lock:
            known = cloudwatch._alarms.get(body["AlarmName"], {})  # type: ignore[no-untyped-call] # noqa: SLF001
            answer = original(params, body, is_cbor, is_json)
            if answer[0] == HTTPStatus.OK:
                alarm = cloudwatch._alarms[body["AlarmName"]]  # noqa: SLF001
                alarm[alarms.CREATED] = known.get(alarms.CREATED, now())
                alarm |= {name: body[name] for name in OF_PUT_METRIC_ALARM if name in body}
                for name in OF_METRICS if body.get("Metrics") else ():
                    alarm.pop(name, None)
            return answer

    return put


def _put_composite_alarm(original: Function) -> Function:
    def put(params: Any, body: Body, is_cbor: bool, is_json: bool = False) -> Any:
        if not (is_cbor or is_json):
            return refused("the lab takes alarms in CBOR or JSON alone", is_cbor, is_json)
        try:
            rules.parse(body["AlarmRule"])
        except (KeyError, rules.Malformed) as error:
            return refused(f"Error in AlarmRule [{error}]", is_cbor, is_json)
        if body.get("ActionsSuppressor") and not all(name in body for name in OF_PUT_COMPOSITE[1:3]):
            return refused(
                "ActionsSuppressorWaitPeriod and ActionsSuppressorExtensionPeriod are required",
                is_cbor,
                is_json,
            )
        with WATCH.lock:
            known = cloudwatch._composite_alarms.get(body["AlarmName"], {})  # type: ignore[no-untyped-call] # noqa: SLF001
            answer = original(params, body, is_cbor, is_json)
            if answer[0] == HTTPStatus.OK:
                alarm = cloudwatch._composite_alarms[body["AlarmName"]]  # noqa: SLF001
                given = {alarms.MEMORY: known[alarms.MEMORY]} if alarms.MEMORY in known else {}
                given |= {name: body[name] for name in OF_PUT_COMPOSITE if name in body}
                alarm |= given
                if not known:
                    _created(body["AlarmName"], "", "", "", "CompositeAlarm")
                WATCH.region().settle(now())
            return answer

    return put
