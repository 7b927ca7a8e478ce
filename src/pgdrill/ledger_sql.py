"""What the ledger is in SQL; `ledger.py` alone runs it. Names in braces are composed as identifiers, never formatted.

Functions are SECURITY DEFINER with a fixed search_path, and executable by the ledger's role alone.
"""

# A role that carries this comment was made here; no other role is ever altered.
MARK = "pgdrill: beats the ledger and seals"

ROLE_MARK = (
    "SELECT pg_catalog.shobj_description(oid, 'pg_authid') FROM pg_catalog.pg_roles WHERE rolname = %s"
)

MARK_ROLE = "COMMENT ON ROLE {role} IS {mark}"

# A seal holds one connection to each database; a limit all the same keeps the role from using production's up.
CREATE_ROLE = "CREATE ROLE {role} LOGIN NOCREATEDB NOCREATEROLE CONNECTION LIMIT 50 PASSWORD {verifier}"

ALTER_ROLE = "ALTER ROLE {role} LOGIN NOCREATEDB NOCREATEROLE CONNECTION LIMIT 50 PASSWORD {verifier}"

LEDGER = """
CREATE SCHEMA IF NOT EXISTS pgdrill;
GRANT USAGE ON SCHEMA pgdrill TO {role};
GRANT CONNECT ON DATABASE {database} TO {role};
ALTER ROLE {role} SET statement_timeout = '5s';
ALTER ROLE {role} SET lock_timeout = '1s';

CREATE TABLE IF NOT EXISTS pgdrill.ledger (
    sequence bigint PRIMARY KEY,
    beat_at timestamp with time zone NOT NULL,
    previous text NOT NULL,
    digest text NOT NULL
);
COMMENT ON TABLE pgdrill.ledger IS 'one row a minute, each with the digest of the one before it; written by pgdrill';
GRANT SELECT ON pgdrill.ledger TO {role};

CREATE OR REPLACE FUNCTION pgdrill.beat(OUT sequence bigint, OUT beat_at timestamp with time zone, OUT digest text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    previous text;
BEGIN
    -- Two beats at once would fork the chain; the second gives up instead of waiting.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('pgdrill.ledger', 0)) THEN
        RAISE lock_not_available USING MESSAGE = 'another beat is under way';
    END IF;
    SELECT l.sequence + 1, l.digest INTO sequence, previous
        FROM pgdrill.ledger l ORDER BY l.sequence DESC LIMIT 1;
    IF NOT FOUND THEN
        -- A random beginning, so that no two ledgers share a chain.
        sequence := 1;
        previous := encode(sha256(gen_random_uuid()::text::bytea), 'hex');
    END IF;
    beat_at := clock_timestamp();
    digest := encode(sha256(concat_ws('/', previous, sequence,
        to_char(beat_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::bytea), 'hex');
    INSERT INTO pgdrill.ledger VALUES (sequence, beat_at, previous, digest);
    DELETE FROM pgdrill.ledger l WHERE l.sequence <= beat.sequence - {retained};
END
$function$;
REVOKE ALL ON FUNCTION pgdrill.beat() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgdrill.beat() TO {role};
"""

POSITIONS = """
CREATE SCHEMA IF NOT EXISTS pgdrill;
GRANT USAGE ON SCHEMA pgdrill TO {role};
GRANT CONNECT ON DATABASE {database} TO {role};

CREATE OR REPLACE FUNCTION pgdrill.sequence_positions()
    RETURNS TABLE (sequence oid, readable boolean, last_value bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT c.oid, has_sequence_privilege(c.oid, 'SELECT, USAGE'), s.last_value
    FROM pg_sequences s
    JOIN pg_namespace n ON n.nspname = s.schemaname
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.sequencename
$function$;
REVOKE ALL ON FUNCTION pgdrill.sequence_positions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgdrill.sequence_positions() TO {role};
"""

REMOVE = "DROP SCHEMA IF EXISTS pgdrill CASCADE"

REVOKE = "REVOKE CONNECT ON DATABASE {database} FROM {role}"

REMOVE_ROLE = "DROP ROLE {role}"

BEAT = "SELECT sequence, beat_at, digest FROM pgdrill.beat()"

PRESENT = "SELECT pg_catalog.to_regclass('pgdrill.ledger')"

READ = """
SELECT sequence, beat_at, previous, digest FROM pgdrill.ledger
ORDER BY sequence DESC LIMIT %(newest)s::bigint
"""
