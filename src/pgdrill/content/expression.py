"""How one row becomes 64 bits: an expression for the server to evaluate, composed from the columns' types.

A row's digest is the XOR of one seeded hash a column, mixed once more. Independent seeds tell equal values in
different columns apart; chained ones would lose what was hashed before a value whose hash ignores its seed.
"""

from collections.abc import Iterable
from functools import lru_cache

from psycopg import sql

from pgdrill.content.relations import Column
from pgdrill.database import quoted

# How a value of a built-in type becomes 64 bits. What is not named here is hashed as its text, which is the
# same in every release and holds no OID, unlike the binary form of enums, composites and arrays of them.
_TEXT = 'hashtextextended({value}::text COLLATE "C", {seed})'
_DIRECT = {
    "int2": "hashint2extended({value}, {seed})",
    "int4": "hashint4extended({value}, {seed})",
    "int8": "hashint8extended({value}, {seed})",
    "oid": "hashoidextended({value}, {seed})",
    "uuid": "uuid_hash_extended({value}, {seed})",
    "text": 'hashtextextended({value} COLLATE "C", {seed})',
    "varchar": _TEXT,
    "bpchar": 'hashbpcharextended({value} COLLATE "C", {seed})',
    "json": _TEXT,
    "xml": _TEXT,
    "tsvector": _TEXT,
}
# Types in which PostgreSQL calls different values equal (1.0 and 1.00, 0 and -0, 1 day and 24 hours).
_SEMANTIC = {
    "float4": "hashfloat4extended({value}, {seed})",
    "float8": "hashfloat8extended({value}, {seed})",
    "numeric": "hash_numeric_extended({value}, {seed})",
    "interval": "interval_hash_extended({value}, {seed})",
    "jsonb": "jsonb_hash_extended({value}, {seed})",
}
_ZERO = 'CASE WHEN {value} = 0 THEN hashtextextended({value}::text COLLATE "C", {seed})'
_EXACT = {
    # Zero is the one number that a float can hold in two ways; its text has the sign.
    "float4": _ZERO + " ELSE hashfloat4extended({value}, {seed}) END",
    "float8": _ZERO + " ELSE hashfloat8extended({value}, {seed}) END",
    # Value and scale are all there is to a numeric; no other column's seed is as large as this one's.
    "numeric": "hash_numeric_extended({value}, {seed} * 100000 + coalesce(scale({value}), 0))",
    "jsonb": _TEXT,
}
# Types without a hash function that SQL can call and that ignores the time zone: hashed inside one row().
_IN_ROW = {
    "interval": "interval_send({})",
    "bit": "bit_send({})",
    "bool": "{}",
    "bytea": "{}",
    "char": "{}",
    "cidr": "{}",
    "date": "{}",
    "inet": "{}",
    "macaddr": "{}",
    "macaddr8": "{}",
    "name": "{}",
    "pg_lsn": "{}",
    "time": "{}",
    "timestamp": "{}",
    "timestamptz": "{}",
    "timetz": "{}",
    "xid8": "{}",
    "box": "box_send({})",
    "circle": "circle_send({})",
    "line": "line_send({})",
    "lseg": "lseg_send({})",
    "money": "cash_send({})",
    "path": "path_send({})",
    "point": "point_send({})",
    "polygon": "poly_send({})",
    "varbit": "varbit_send({})",
}
# Elements whose binary form is free of OIDs and of the client's encoding.
_SENT_IN_ARRAYS = _IN_ROW.keys() - {"name"} | {
    "float4",
    "float8",
    "int2",
    "int4",
    "int8",
    "numeric",
    "oid",
    "uuid",
}


def expression(columns: Iterable[Column], *, exact: bool = False) -> sql.SQL:
    """Compose the 64-bit digest of one row of `t`.

    Each column has a seed of its own, so equal values in different columns differ; the last hash makes the
    sum over rows non-linear in them, so values swapped between rows are found. A NULL is a constant even
    where the column is NOT NULL: in a damaged row it must not wipe out the other columns.
    """
    return _composed(tuple(columns), exact)


@lru_cache(maxsize=512)
def _composed(columns: tuple[Column, ...], exact: bool) -> sql.SQL:
    """Compose what partitions, and ranges of one table, have in common once for all of them."""
    terms, in_row, as_text = [], [], []
    functions = _DIRECT | (_EXACT if exact else _SEMANTIC)
    for seed, column in enumerate(columns, 1):
        value = sql.SQL("t.{}").format(sql.Identifier(column.name))
        if column.domain and column.type:
            value = sql.SQL("{}::{}").format(value, quoted("pg_catalog", column.type))
        direct = functions.get(column.type) or (_TEXT if column.element else "")
        if column.element in _SENT_IN_ARRAYS:
            in_row.append(sql.SQL("array_send({})").format(value))
        elif direct:
            hashed = sql.SQL(f"coalesce({direct}, {{null}})")
            terms.append(hashed.format(value=value, seed=seed, null=2_000_000 + seed))
        elif column.type in _IN_ROW:
            in_row.append(sql.SQL(_IN_ROW[column.type]).format(value))
        else:
            as_text.append(value)
    if in_row:
        terms.append(sql.SQL("hash_record_extended(row({}), -1)").format(sql.SQL(", ").join(in_row)))
    if as_text:
        # The text of a row tells NULL from '' and where one value ends; a type's own cast to text need not.
        values = sql.SQL(", ").join(as_text)
        terms.append(sql.SQL('hashtextextended(row({})::text COLLATE "C", -2)').format(values))
    row = sql.SQL("hashint8extended({}, 0)").format(sql.SQL(" # ").join(terms) if terms else sql.SQL("0"))
    return sql.SQL(row.as_string())
