-- Who holds a name that may exist only once: a slug over everything, a ref in the program. A row commits in the transaction
-- that appends the event which uses the name, so the primary key decides between concurrent requests on any instance.
-- A claim outlives its link: clicks of a retired slug stay those of its partner.
create table if not exists {schema}.claims (
    kind       text not null check (kind in ('slug', 'ref')),
    name       text not null,
    partner_id text not null,
    constraint pk_claims primary key (kind, name)
);
