"""What a catalog holds, as SQL: each kind of object with an identity that has no OID, and a definition.

Read by every role alike, so that the role that seals production and the one that examines a copy see the same:
nothing here needs a privilege, and options that may hold a secret are left out or named without their values.
"""

from typing import LiteralString

# Objects below this OID came with initdb. Source: src/include/access/transam.h, FirstNormalObjectId.
# `search_path` is pinned to nothing, so that every function that prints a name prints it qualified.
COMMON: LiteralString = """
WITH member AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), own AS (
    -- What the examination itself may have installed, in a schema of its own.
    SELECT d.classid, d.objid FROM pg_depend d
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
    WHERE d.deptype = 'e' AND e.extname = 'amcheck'
), space AS (
    SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast)'
), relation AS (
    SELECT c.*, format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_class c JOIN space n ON n.oid = c.relnamespace
    WHERE c.oid >= 16384 AND ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM member)
), object (kind, identity, definition) AS (
"""

# The definition leaves the server as a digest alone: defaults and function bodies may quote values.
DIGEST: LiteralString = """
) SELECT kind || ' ' || identity, left(encode(sha256(textsend(coalesce(definition, ''))), 'hex'), 16) FROM object
-- What is dropped meanwhile has no name any more.
WHERE identity IS NOT NULL
"""

RELATIONS: LiteralString = """
SELECT CASE WHEN c.relispartition THEN 'partition' WHEN c.relpersistence = 'u' THEN 'unlogged table'
        WHEN c.relkind = 'r' THEN 'table' WHEN c.relkind = 'p' THEN 'partitioned table' WHEN c.relkind = 'v' THEN 'view'
        WHEN c.relkind = 'm' THEN 'materialized view' ELSE 'foreign table' END,
    c.name,
    row(pg_get_userbyid(c.relowner), m.amname, s.spcname, c.relpersistence, c.reloptions, t.reloptions,
        c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relispopulated, pg_get_partkeydef(c.oid),
        pg_get_expr(c.relpartbound, c.oid), format_type(nullif(c.reloftype, 0), NULL),
        ARRAY(SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = c.oid ORDER BY i.inhseqno),
        CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, f.srvname,
        ARRAY(SELECT o.option_name FROM pg_options_to_table(ft.ftoptions) o ORDER BY 1))::text
FROM relation c
LEFT JOIN pg_am m ON m.oid = c.relam
LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
LEFT JOIN pg_foreign_table ft ON ft.ftrelid = c.oid
LEFT JOIN pg_foreign_server f ON f.oid = ft.ftserver
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""

COLUMNS: LiteralString = """
SELECT 'column', format('%s.%I', c.name, a.attname),
    row(row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod),
        a.attcollation::regcollation, a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated,
        a.attstorage, a.attcompression, coalesce(a.attstattarget, -1), a.attoptions, a.attislocal, a.attinhcount,
        ARRAY(SELECT o.option_name FROM pg_options_to_table(a.attfdwoptions) o ORDER BY 1))::text
FROM relation c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
"""

# A foreign key whose triggers are disabled is not checked, and its definition does not show it.
CONSTRAINTS: LiteralString = """
SELECT 'constraint', format('%I on %s', k.conname, coalesce(c.name, format_type(nullif(k.contypid, 0), NULL))),
    row(pg_get_constraintdef(k.oid), k.convalidated, k.condeferrable, k.condeferred, k.conislocal, k.coninhcount,
        k.connoinherit,
        ARRAY(SELECT (t.tgtype, t.tgenabled)::text FROM pg_trigger t WHERE t.tgconstraint = k.oid ORDER BY 1))::text
FROM pg_constraint k
LEFT JOIN relation c ON c.oid = k.conrelid
WHERE k.oid >= 16384 AND (c.oid IS NOT NULL OR k.contypid <> 0)
    AND k.connamespace IN (SELECT oid FROM space) AND ('pg_type'::regclass, k.contypid) NOT IN (SELECT * FROM member)
"""

INDEXES: LiteralString = """
SELECT 'index', c.name,
    row(pg_get_indexdef(c.oid), pg_get_userbyid(c.relowner), i.indisvalid, i.indisready, i.indisclustered,
        i.indisreplident, i.indimmediate, s.spcname,
        ARRAY(SELECT p.inhparent::regclass::text FROM pg_inherits p WHERE p.inhrelid = c.oid),
        ARRAY(SELECT (a.attnum, a.attstattarget)::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attstattarget >= 0 ORDER BY a.attnum))::text
FROM relation c
JOIN pg_index i ON i.indexrelid = c.oid
LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
"""

SEQUENCES: LiteralString = """
SELECT 'sequence', c.name,
    row(pg_get_userbyid(c.relowner), c.relpersistence, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement,
        s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
        (SELECT format('%s %s.%I', d.deptype, d.refobjid::regclass, a.attname) FROM pg_depend d
         JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
         WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
             AND d.deptype IN ('a', 'i')))::text
FROM relation c JOIN pg_sequence s ON s.seqrelid = c.oid
"""

RULES_AND_TRIGGERS: LiteralString = """
SELECT 'rule', format('%I on %s', r.rulename, c.name), row(pg_get_ruledef(r.oid), r.ev_enabled)::text
FROM relation c JOIN pg_rewrite r ON r.ev_class = c.oid WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT 'trigger', format('%I on %s', t.tgname, c.name), row(pg_get_triggerdef(t.oid), t.tgenabled)::text
FROM relation c JOIN pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'event trigger', quote_ident(e.evtname),
    row(pg_get_userbyid(e.evtowner), e.evtevent, e.evtfoid::regprocedure, e.evtenabled, e.evttags)::text
FROM pg_event_trigger e WHERE ('pg_event_trigger'::regclass, e.oid) NOT IN (SELECT * FROM member)
UNION ALL
SELECT 'policy', format('%I on %s', p.polname, c.name),
    row(p.polcmd, p.polpermissive, ARRAY(SELECT CASE WHEN r = 0 THEN 'public' ELSE pg_get_userbyid(r) END
                                         FROM unnest(p.polroles) r ORDER BY 1),
        pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))::text
FROM relation c JOIN pg_policy p ON p.polrelid = c.oid
UNION ALL
SELECT 'statistics', format('%I.%I', n.nspname, s.stxname),
    row(pg_get_statisticsobjdef(s.oid), pg_get_userbyid(s.stxowner), s.stxstattarget)::text
FROM pg_statistic_ext s JOIN space n ON n.oid = s.stxnamespace WHERE s.oid >= 16384
"""

FUNCTIONS: LiteralString = """
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
    format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
    row(pg_get_userbyid(p.proowner), CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END,
        pg_get_function_result(p.oid), p.proparallel, a.aggkind, a.aggnumdirectargs, a.aggtransfn, a.aggfinalfn,
        a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn,
        a.aggfinalextra, a.aggmfinalextra, a.aggfinalmodify, a.aggmfinalmodify, a.aggsortop::regoperator,
        format_type(a.aggtranstype, NULL), a.aggtransspace, format_type(a.aggmtranstype, NULL), a.aggmtransspace,
        a.agginitval, a.aggminitval)::text
FROM pg_proc p
JOIN space n ON n.oid = p.pronamespace
LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
WHERE p.oid >= 16384 AND ('pg_proc'::regclass, p.oid) NOT IN (SELECT * FROM member)
"""

TYPES: LiteralString = """
SELECT 'type', format_type(t.oid, NULL),
    row(t.typtype, pg_get_userbyid(t.typowner), t.typcategory, t.typispreferred, t.typdelim, t.typnotnull,
        coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault), format_type(nullif(t.typbasetype, 0), t.typtypmod),
        t.typcollation::regcollation, t.typlen, t.typbyval, t.typalign, t.typstorage, t.typinput, t.typoutput,
        t.typreceive, t.typsend, t.typmodin, t.typanalyze, t.typsubscript,
        ARRAY(SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder),
        (SELECT row(format_type(r.rngsubtype, NULL), r.rngcollation::regcollation, o.opcname, r.rngcanonical,
                    r.rngsubdiff)::text
         FROM pg_range r JOIN pg_opclass o ON o.oid = r.rngsubopc WHERE r.rngtypid = t.oid))::text
FROM pg_type t
JOIN space n ON n.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE t.oid >= 16384 AND (t.typrelid = 0 OR c.relkind = 'c')
    AND NOT (t.typelem <> 0 AND t.typsubscript = 'array_subscript_handler'::regproc)
    AND ('pg_type'::regclass, t.oid) NOT IN (SELECT * FROM member)
UNION ALL
SELECT 'cast', format('%s AS %s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)),
    row(c.castfunc::regprocedure, c.castcontext, c.castmethod)::text
FROM pg_cast c WHERE c.oid >= 16384 AND ('pg_cast'::regclass, c.oid) NOT IN (SELECT * FROM member)
UNION ALL
SELECT 'collation', format('%I.%I', n.nspname, c.collname),
    row(pg_get_userbyid(c.collowner), c.collprovider, c.collisdeterministic, c.collencoding, c.collcollate,
        c.collctype, coalesce(to_jsonb(c) ->> 'colliculocale', to_jsonb(c) ->> 'colllocale'))::text
FROM pg_collation c JOIN space n ON n.oid = c.collnamespace
WHERE c.oid >= 16384 AND ('pg_collation'::regclass, c.oid) NOT IN (SELECT * FROM member)
UNION ALL
SELECT 'conversion', format('%I.%I', n.nspname, c.conname),
    row(pg_get_userbyid(c.conowner), c.conforencoding, c.contoencoding, c.conproc, c.condefault)::text
FROM pg_conversion c JOIN space n ON n.oid = c.connamespace WHERE c.oid >= 16384
"""

OPERATORS: LiteralString = """
SELECT 'operator', o.oid::regoperator::text,
    row(pg_get_userbyid(o.oprowner), o.oprcode, o.oprcom::regoperator, o.oprnegate::regoperator, o.oprcanhash,
        o.oprcanmerge, o.oprrest, o.oprjoin, format_type(o.oprresult, NULL))::text
FROM pg_operator o JOIN space n ON n.oid = o.oprnamespace
WHERE o.oid >= 16384 AND ('pg_operator'::regclass, o.oid) NOT IN (SELECT * FROM member)
UNION ALL
SELECT 'operator class', format('%I.%I using %I', n.nspname, o.opcname, m.amname),
    row(pg_get_userbyid(o.opcowner), format_type(o.opcintype, NULL), o.opcdefault,
        format_type(nullif(o.opckeytype, 0), NULL), f.opfname)::text
FROM pg_opclass o
JOIN space n ON n.oid = o.opcnamespace
JOIN pg_am m ON m.oid = o.opcmethod
JOIN pg_opfamily f ON f.oid = o.opcfamily
WHERE o.oid >= 16384 AND ('pg_opclass'::regclass, o.oid) NOT IN (SELECT * FROM member)
UNION ALL
SELECT 'operator family', format('%I.%I using %I', n.nspname, f.opfname, m.amname),
    row(pg_get_userbyid(f.opfowner),
        ARRAY(SELECT (a.amopstrategy, a.amoppurpose, a.amopopr::regoperator)::text FROM pg_amop a
              WHERE a.amopfamily = f.oid ORDER BY 1),
        ARRAY(SELECT (p.amprocnum, format_type(p.amproclefttype, NULL), format_type(p.amprocrighttype, NULL),
                      p.amproc::regprocedure)::text
              FROM pg_amproc p WHERE p.amprocfamily = f.oid ORDER BY 1))::text
FROM pg_opfamily f JOIN space n ON n.oid = f.opfnamespace JOIN pg_am m ON m.oid = f.opfmethod
WHERE f.oid >= 16384 AND ('pg_opfamily'::regclass, f.oid) NOT IN (SELECT * FROM member)
"""

TEXT_SEARCH: LiteralString = """
SELECT 'text search configuration', c.oid::regconfig::text,
    row(pg_get_userbyid(c.cfgowner), p.prsname,
        ARRAY(SELECT (m.maptokentype, m.mapseqno, m.mapdict::regdictionary)::text FROM pg_ts_config_map m
              WHERE m.mapcfg = c.oid ORDER BY m.maptokentype, m.mapseqno))::text
FROM pg_ts_config c JOIN space n ON n.oid = c.cfgnamespace JOIN pg_ts_parser p ON p.oid = c.cfgparser
WHERE c.oid >= 16384 AND ('pg_ts_config'::regclass, c.oid) NOT IN (SELECT * FROM member)
UNION ALL
SELECT 'text search dictionary', d.oid::regdictionary::text,
    row(pg_get_userbyid(d.dictowner), t.tmplname, d.dictinitoption)::text
FROM pg_ts_dict d JOIN space n ON n.oid = d.dictnamespace JOIN pg_ts_template t ON t.oid = d.dicttemplate
WHERE d.oid >= 16384 AND ('pg_ts_dict'::regclass, d.oid) NOT IN (SELECT * FROM member)
"""

OUTSIDE: LiteralString = """
SELECT 'schema', quote_ident(n.nspname), row(pg_get_userbyid(n.nspowner))::text
FROM pg_namespace n JOIN space USING (oid)
WHERE (n.oid >= 16384 OR n.nspname = 'public') AND n.nspname <> 'pgdrill_amcheck'
    AND ('pg_namespace'::regclass, n.oid) NOT IN (SELECT * FROM member)
UNION ALL
SELECT 'extension', quote_ident(e.extname),
    row(pg_get_userbyid(e.extowner), e.extversion, n.nspname, e.extrelocatable)::text
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.oid >= 16384 AND e.extname <> 'amcheck'
UNION ALL
SELECT 'language', quote_ident(l.lanname),
    row(pg_get_userbyid(l.lanowner), l.lanpltrusted, l.lanplcallfoid::regprocedure, l.laninline::regprocedure)::text
FROM pg_language l WHERE l.oid >= 16384 AND ('pg_language'::regclass, l.oid) NOT IN (SELECT * FROM member)
UNION ALL
SELECT 'foreign data wrapper', quote_ident(w.fdwname),
    row(pg_get_userbyid(w.fdwowner), w.fdwhandler::regprocedure, w.fdwvalidator::regprocedure,
        ARRAY(SELECT o.option_name FROM pg_options_to_table(w.fdwoptions) o ORDER BY 1))::text
FROM pg_foreign_data_wrapper w
WHERE ('pg_foreign_data_wrapper'::regclass, w.oid) NOT IN (SELECT * FROM member)
UNION ALL
SELECT 'foreign server', quote_ident(s.srvname),
    row(pg_get_userbyid(s.srvowner), w.fdwname, s.srvtype, s.srvversion,
        ARRAY(SELECT o.option_name FROM pg_options_to_table(s.srvoptions) o ORDER BY 1))::text
FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
UNION ALL
SELECT 'user mapping', format('%I on %I', m.usename, m.srvname), '' FROM pg_user_mappings m
UNION ALL
SELECT 'publication', quote_ident(p.pubname),
    row(pg_get_userbyid(p.pubowner), p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate,
        p.pubviaroot,
        ARRAY(SELECT (r.prrelid::regclass, pg_get_expr(r.prqual, r.prrelid), r.prattrs)::text
              FROM pg_publication_rel r WHERE r.prpubid = p.oid ORDER BY 1),
        ARRAY(SELECT s.pnnspid::regnamespace::text FROM pg_publication_namespace s
              WHERE s.pnpubid = p.oid ORDER BY 1))::text
FROM pg_publication p
UNION ALL
SELECT 'subscription', quote_ident(s.subname),
    row(pg_get_userbyid(s.subowner), s.subenabled, s.subbinary, s.subslotname, s.subsynccommit,
        s.subpublications)::text
FROM pg_subscription s WHERE s.subdbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
"""

PRIVILEGES: LiteralString = """
SELECT 'privileges of', i.type || ' ' || i.identity, a.sorted::text
FROM (
    SELECT 'pg_class'::regclass AS classid, oid AS objid, 0 AS objsubid, relacl AS acl FROM pg_class
        WHERE relkind NOT IN ('i', 'I', 't')
    UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum, attacl FROM pg_attribute
        WHERE NOT attisdropped AND attnum > 0 AND attacl IS NOT NULL
    UNION ALL SELECT 'pg_proc'::regclass, oid, 0, proacl FROM pg_proc
    UNION ALL SELECT 'pg_namespace'::regclass, oid, 0, nspacl FROM pg_namespace
    UNION ALL SELECT 'pg_type'::regclass, oid, 0, typacl FROM pg_type
    UNION ALL SELECT 'pg_language'::regclass, oid, 0, lanacl FROM pg_language
    UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, 0, fdwacl FROM pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_foreign_server'::regclass, oid, 0, srvacl FROM pg_foreign_server
) o
LEFT JOIN pg_init_privs p ON p.classoid = o.classid AND p.objoid = o.objid AND p.objsubid = o.objsubid,
LATERAL (SELECT ARRAY(SELECT x::text FROM unnest(o.acl) x ORDER BY x::text COLLATE "C") AS sorted,
                ARRAY(SELECT x::text FROM unnest(p.initprivs) x ORDER BY x::text COLLATE "C") AS initial) a,
LATERAL pg_identify_object(o.classid, o.objid, o.objsubid) i
WHERE (o.acl IS NOT NULL OR p.initprivs IS NOT NULL) AND a.sorted IS DISTINCT FROM a.initial
    AND coalesce(i.schema, '') !~ '^pg_(temp|toast)' AND i.identity !~ '^pg_(temp|toast)'
    AND (o.classid, o.objid) NOT IN (SELECT * FROM own)
UNION ALL
SELECT 'default privileges', format('%s for %I in %s', d.defaclobjtype, pg_get_userbyid(d.defaclrole),
        coalesce(quote_ident(n.nspname), 'every schema')),
    ARRAY(SELECT x::text FROM unnest(d.defaclacl) x ORDER BY x::text COLLATE "C")::text
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
"""

COMMENTS: LiteralString = """
SELECT 'comment on', i.type || ' ' || i.identity, d.description
FROM pg_description d, LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i
WHERE d.objoid >= 16384 AND d.classoid <> 'pg_extension'::regclass
    AND (d.classoid, d.objoid) NOT IN (SELECT * FROM member) AND i.identity !~ '^pg_(temp|toast)'
UNION ALL
SELECT 'label of', format('%s %s by %s', i.type, i.identity, l.provider), l.label
FROM pg_seclabel l, LATERAL pg_identify_object(l.classoid, l.objoid, l.objsubid) i
"""

KINDS: tuple[LiteralString, ...] = (
    RELATIONS,
    COLUMNS,
    CONSTRAINTS,
    INDEXES,
    SEQUENCES,
    RULES_AND_TRIGGERS,
    FUNCTIONS,
    TYPES,
    OPERATORS,
    TEXT_SEARCH,
    OUTSIDE,
    PRIVILEGES,
    COMMENTS,
)

# What belongs to the whole server. RDS's own roles and database change with its releases.
SHARED: LiteralString = """
SELECT 'database', quote_ident(d.datname) AS identity,
    row(pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, d.datlocprovider,
        coalesce(to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale'), d.datistemplate, d.datallowconn,
        d.datconnlimit, t.spcname,
        ARRAY(SELECT x::text FROM unnest(d.datacl) x ORDER BY x::text COLLATE "C"))::text
FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname <> 'rdsadmin'
UNION ALL
SELECT 'role', quote_ident(r.rolname),
    row(r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolbypassrls,
        r.rolconnlimit, r.rolvaliduntil)::text
FROM pg_roles r WHERE r.rolname !~ '^(pg_|rds_|rdsadmin$|rdsrepladmin$|rdstopmgr$)'
UNION ALL
SELECT 'membership', format('%I in %I by %I', pg_get_userbyid(m.member), pg_get_userbyid(m.roleid),
        pg_get_userbyid(m.grantor)),
    (to_jsonb(m) - '{oid,roleid,member,grantor}'::text[])::text
FROM pg_auth_members m
UNION ALL
SELECT 'setting of', format('%s in %s', coalesce(quote_ident(r.rolname), 'every role'),
        coalesce(quote_ident(d.datname), 'every database')),
    ARRAY(SELECT x FROM unnest(s.setconfig) x ORDER BY x COLLATE "C")::text
FROM pg_db_role_setting s
LEFT JOIN pg_roles r ON r.oid = s.setrole
LEFT JOIN pg_database d ON d.oid = s.setdatabase
WHERE coalesce(r.rolname, '') <> 'rdsadmin' AND coalesce(d.datname, '') <> 'rdsadmin'
UNION ALL
SELECT 'tablespace', quote_ident(t.spcname),
    row(pg_get_userbyid(t.spcowner), t.spcoptions,
        ARRAY(SELECT x::text FROM unnest(t.spcacl) x ORDER BY x::text COLLATE "C"))::text
FROM pg_tablespace t WHERE t.oid >= 16384
UNION ALL
SELECT 'privileges of', 'parameter ' || p.parname,
    ARRAY(SELECT x::text FROM unnest(p.paracl) x ORDER BY x::text COLLATE "C")::text
FROM pg_parameter_acl p
UNION ALL
SELECT 'comment on', i.type || ' ' || i.identity, d.description
FROM pg_shdescription d, LATERAL pg_identify_object(d.classoid, d.objoid, 0) i WHERE d.objoid >= 16384
UNION ALL
SELECT 'label of', format('%s %s by %s', i.type, i.identity, l.provider), l.label
FROM pg_shseclabel l, LATERAL pg_identify_object(l.classoid, l.objoid, 0) i
"""
