-- What is compared to find orders that were reported twice. Derived from the log, and filled anew when something else is declared.
create table if not exists {schema}.order_keys (
    key           uuid        not null,
    conversion_id uuid        not null,
    is_first      bool        not null,
    occurred_at   timestamptz not null,
    source        varchar     not null,
    order_id      varchar     not null,
    constraint pk_order_keys primary key (key, conversion_id)
);

-- The merges of the log, so that they are found from both ends. Rows commit with the events.
create table if not exists {schema}.merges (
    conversion_id uuid    not null,
    into_id       uuid    not null,
    source        varchar not null,
    order_id      varchar not null,
    constraint pk_merges primary key (conversion_id, into_id)
);
create index if not exists merges_by_into on {schema}.merges (into_id);
