-- Tables of the internal schema, in name order.
select table_name from duckdb_tables()
where database_name = current_database() and schema_name = 'store' and not internal
order by table_name;
