-- How fast a replay gets on: since when the process that works on it has been at it, how far it was then, and its last commit.
create table if not exists {schema}.generation_runs (
    generation   int         not null,
    started_at   timestamptz not null,
    started_done bigint      not null,
    advanced_at  timestamptz not null,
    constraint pk_generation_runs primary key (generation)
);

-- The table is kept when everything derived is thrown away, so it grows in place; asked first, because a change locks it even where
-- there is nothing to change.
do $$
begin
    if not exists (select from information_schema.columns where table_schema = '{schema}' and table_name = 'untold_revisions' and column_name = 'causes') then
        alter table {schema}.untold_revisions add column causes json null;
    end if;
end $$;
