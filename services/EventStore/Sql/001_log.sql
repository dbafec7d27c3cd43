-- Marten's table layout (version 9, stream identity Guid, single tenancy), to the letter, so that Marten can open the log.
-- Ours are the unique index on mt_events.id, and the absence of the foreign key from events to streams: it halves a bulk
-- append, and reading does not need it. {schema} is the service's own schema.

create table if not exists {schema}.mt_streams (
    id          uuid        not null,
    type        varchar     null,
    version     bigint      null,
    timestamp   timestamptz not null default now(),
    created     timestamptz not null default now(),
    tenant_id   varchar     null default '*DEFAULT*',
    is_archived bool        null default false,
    constraint pkey_mt_streams_id primary key (id)
) with (fillfactor = 70); -- A stream's version grows with every append: room on the page saves its index.

create table if not exists {schema}.mt_events (
    seq_id         bigint       not null,
    id             uuid         not null,
    stream_id      uuid         not null,
    version        bigint       not null,
    data           jsonb        not null,
    bdata          bytea        null,
    type           varchar(500) not null,
    timestamp      timestamptz  not null default now(),
    tenant_id      varchar      null default '*DEFAULT*',
    mt_dotnet_type varchar      null,
    is_archived    bool         null default false,
    constraint pkey_mt_events_seq_id primary key (seq_id)
);

create unique index if not exists pk_mt_events_stream_and_version on {schema}.mt_events (stream_id, version);
create unique index if not exists pulse_mt_events_id on {schema}.mt_events (id);

create sequence if not exists {schema}.mt_events_sequence owned by {schema}.mt_events.seq_id;

create table if not exists {schema}.mt_event_progression (
    name         varchar     not null,
    last_seq_id  bigint      null,
    last_updated timestamptz null default transaction_timestamp(),
    constraint pk_mt_event_progression primary key (name)
);

create table if not exists {schema}.mt_high_water_skips (
    ending_sequence   bigint      primary key,
    starting_sequence bigint      not null,
    timestamp         timestamptz null default transaction_timestamp()
);

-- In which trace an event came, of sampled traces alone: beside the log, so that neither the event nor the layout knows of it, and what is
-- old can go.
create table if not exists {schema}.traces (
    position    bigint      not null,
    traceparent varchar     not null,
    saved_at    timestamptz not null default now(),
    constraint pk_traces primary key (position)
);
