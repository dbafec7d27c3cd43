-- The chain over the pages of the log. Not derived: it can be checked against the log, and must never be made anew from it.

create table if not exists {schema}.seals (
    page          bigint      not null,
    from_position bigint      not null,
    to_position   bigint      not null,
    events        int         not null,
    root          bytea       not null,
    entry         bytea       not null,
    leaves        bytea       not null,
    sealed_at     timestamptz not null default now(),
    constraint pk_seals primary key (page)
);

create unique index if not exists seals_to_position on {schema}.seals (to_position);

-- Of sealed events that name a customer, what stands in their seal for the key. An erasure takes the salt away, and then nobody can
-- tell whose key it was. Of an event that the erasure takes out of the log its type and time stay here.
create table if not exists {schema}.seal_salts (
    position    bigint      not null,
    salt        bytea       null,
    commitment  bytea       not null,
    type        varchar     null,
    recorded_at timestamptz null,
    constraint pk_seal_salts primary key (position)
);

-- Copies of the signed checkpoints, for attestations; the file outside the database is what counts.
create table if not exists {schema}.seal_checkpoints (
    page       bigint  not null,
    checkpoint varchar not null,
    constraint pk_seal_checkpoints primary key (page)
);
