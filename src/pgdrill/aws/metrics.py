"""The only module that calls CloudWatch: puts metrics. Functions have no way there; state machines do it for them."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.aws.refusal import not_told
from pgdrill.messages import Metric

NAMESPACE = "pgdrill"
# Source: CloudWatch API reference, PutMetricData: 1,000 a request.
AT_ONCE = 1000


def put(client: Any, suffix: str, metrics: tuple[Metric, ...]) -> None:
    """Put metrics, each with its suffix besides its own dimensions.

    Raises:
        NotRunnable, Unavailable: CloudWatch refused, or did not answer.
    """
    data = [_datum(suffix, metric) for metric in metrics]
    for first in range(0, len(data), AT_ONCE):
        try:
            client.put_metric_data(Namespace=NAMESPACE, MetricData=data[first : first + AT_ONCE])
        except (ClientError, BotoCoreError) as error:
            raise not_told("metrics", NAMESPACE, error) from error


def _datum(suffix: str, metric: Metric) -> dict[str, Any]:
    dimensions = {"Suffix": suffix} | metric.dimensions
    return {
        "MetricName": metric.name,
        "Value": metric.value,
        "Unit": metric.unit,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
