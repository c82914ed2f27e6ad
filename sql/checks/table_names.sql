-- Names of the tables of schema store.
select table_name from duckdb_tables() where schema_name = 'store' and database_name = current_database() order by 1;
