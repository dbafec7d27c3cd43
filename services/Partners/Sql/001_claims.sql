-- Who holds a name that may exist only once: a slug, and everything that reads like it, over everything; a ref in the program; a
-- program's link hosts and origins. A row commits in the transaction that appends the event which uses the name, so the primary
-- key decides between concurrent requests on any instance. A slug's claim outlives its link: clicks of a retired slug stay those of
-- its partner. A program's claims go when the program no longer names them.
create table if not exists {schema}.claims (
    kind  text not null,
    name  text not null,
    owner text not null,
    constraint pk_claims primary key (kind, name)
);
-- Tables from before programs had names knew partners only, and nothing of what reads like a slug: the rule is Names.Skeleton's.
do $$ begin
    if exists (select from information_schema.columns where table_schema = '{schema}' and table_name = 'claims' and column_name = 'partner_id') then
        alter table {schema}.claims rename column partner_id to owner;
        alter table {schema}.claims drop constraint if exists claims_kind_check;
        insert into {schema}.claims (kind, name, owner)
        select 'skeleton', replace(replace(translate(name, '01i-', 'oll'), 'm', 'rn'), 'w', 'vv') as skeleton, min(owner)
          from {schema}.claims where kind = 'slug' group by skeleton
        on conflict on constraint pk_claims do nothing;
    end if;
end $$;
create index if not exists ix_claims_owner on {schema}.claims (owner, kind) where kind in ('link-host', 'origin');
