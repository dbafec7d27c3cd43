-- Outbound tells what is in the log, by a role of its own where deploy/postgres made roles. It may read this table, the traces
-- in which its events came, and no other.
do $$ declare
    reader constant text := current_database() || '_{schema}_log';
begin
    if exists (select from pg_roles where rolname = reader) and not has_table_privilege(reader, '{schema}.mt_events', 'select') then
        execute format('grant select on {schema}.mt_events to %I', reader);
    end if;
    if exists (select from pg_roles where rolname = reader) and not has_table_privilege(reader, '{schema}.traces', 'select') then
        execute format('grant select on {schema}.traces to %I', reader);
    end if;
end $$;
