-- The database "analytics": partitions two levels deep, and a materialized view that was never filled.
-- Runs in one transaction as an RDS master user. Setting: shop.customers.

CREATE SCHEMA facts;
SET LOCAL search_path = facts, pg_catalog;
COMMENT ON SCHEMA facts IS 'loaded from the shop every night';

CREATE TABLE visits (
    customer bigint NOT NULL,
    device text NOT NULL,
    seen date NOT NULL,
    pages integer NOT NULL,
    seconds real
) PARTITION BY LIST (device);
CREATE TABLE visits_phone PARTITION OF visits FOR VALUES IN ('phone') PARTITION BY HASH (customer);
CREATE TABLE visits_phone_even PARTITION OF visits_phone FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE visits_phone_odd PARTITION OF visits_phone FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE visits_desk PARTITION OF visits FOR VALUES IN ('laptop', 'desktop');

INSERT INTO visits
SELECT i, (ARRAY['phone', 'laptop', 'desktop'])[1 + i % 3], date '2026-01-01' + (i % 300)::integer, 1 + i % 17, sqrt(i)
FROM generate_series(1, current_setting('shop.customers')::bigint) AS i;
CREATE INDEX ON visits (customer, seen);

CREATE TABLE scores (customer bigint PRIMARY KEY, score double precision NOT NULL, why jsonb);
INSERT INTO scores
SELECT i, 1 / i::float8, jsonb_build_object('visits', i % 40)
FROM generate_series(1, current_setting('shop.customers')::bigint / 2) AS i;

CREATE MATERIALIZED VIEW by_device AS SELECT device, sum(pages) AS pages FROM visits GROUP BY device;
CREATE MATERIALIZED VIEW never_filled AS SELECT seen, count(*) FROM visits GROUP BY seen WITH NO DATA;
