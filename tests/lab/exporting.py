"""What tests of exports share: a production with one of everything that matters to one, and ways to export it."""

from datetime import UTC, datetime

from pgdrill.aws.export_tasks import ExportTask
from pgdrill.exporting import exports
from pgdrill.exporting.conclusion import Conclusion
from pgdrill.model import RecoveryPoint
from tests.lab.labs import until
from tests.lab.production import Production

# One of everything that matters to an export, and to comparing one.
DDL = """
CREATE TABLE kinds (
    small smallint PRIMARY KEY, medium integer, large bigint, single real, double double precision, exact numeric,
    yes boolean, bytes bytea, words text, padded char(5), moment timestamptz, day date, id uuid, document json,
    list integer[], span interval, range int4range, host inet, free money
);
INSERT INTO kinds SELECT i, -i, i * 5000000000, i / 3.0, 1 / i::float8, i / 7.0, i % 2 = 0,
    sha256(i::text::bytea), 'wörd ' || i, 'x' || i, now() - make_interval(mins => i), date '2026-01-01' + i,
    md5(i::text)::uuid, json_build_object('a', i), ARRAY[i, NULL], make_interval(days => i), int4range(i, i + 2),
    '10.0.0.1', i::money FROM generate_series(1, 50) AS i;
INSERT INTO kinds (small, single, double, exact, moment) VALUES
    (100, 'NaN', 'NaN', 'NaN', 'infinity'), (101, '-0', '-Infinity', 1e-30, '4713-01-01 BC'), (102, NULL, NULL, NULL, NULL);
CREATE TABLE pairs (a integer, b text, PRIMARY KEY (a, b));
INSERT INTO pairs SELECT i, 'b' || i FROM generate_series(1, 20) AS i;
CREATE TABLE parts (id integer, place text) PARTITION BY LIST (place);
CREATE TABLE parts_here PARTITION OF parts FOR VALUES IN ('here');
CREATE TABLE parts_there PARTITION OF parts FOR VALUES IN ('there');
INSERT INTO parts SELECT i, CASE WHEN i % 3 = 0 THEN 'here' ELSE 'there' END FROM generate_series(1, 30) AS i;
CREATE TABLE "with space" ("name" text);
INSERT INTO "with space" VALUES ('a');
CREATE TABLE empty (id integer);
CREATE UNLOGGED TABLE fleeting (id integer);
"""


def export(production: Production, point: RecoveryPoint) -> ExportTask:
    cell, database = production.cell, production.database
    name = exports.start(cell, point, exports.of(cell, database))
    until(lambda: not exports.find(cell, database, name).under_way)
    return exports.find(cell, database, name)


def conclude(production: Production, task: ExportTask) -> Conclusion:
    return exports.conclude(production.cell, production.database, task, datetime.now(UTC))
