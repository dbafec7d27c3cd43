-- Whom to tell, and up to which position of Attribution's log that has been put into deliveries. A subscription that is disabled, or has
-- too much waiting, stays where it is: the log keeps what it has not been told yet.
create table if not exists {schema}.subscriptions (
    id                    uuid        not null,
    program_id            varchar     not null,
    kind                  varchar     not null,
    partner_id            varchar     null,
    url                   varchar     not null,
    events                varchar[]   not null,
    description           varchar     null,
    position              bigint      not null,
    enabled               bool        not null default true,
    disabled_reason       varchar     null,
    failing_since         timestamptz null,
    secret                bytea       null,
    previous_secret       bytea       null,
    previous_secret_until timestamptz null,
    created_at            timestamptz not null,
    constraint pk_subscriptions primary key (id),
    constraint subscriptions_kind check ((kind = 'webhook' and secret is not null) or (kind = 'postback' and partner_id is not null))
);
create unique index if not exists subscriptions_webhook on {schema}.subscriptions (program_id, url) where kind = 'webhook';
create unique index if not exists subscriptions_postback on {schema}.subscriptions (program_id, partner_id) where kind = 'postback';

-- One event for one subscription. The id is derived from both, so that it exists once however often the log is read. state: waiting,
-- delivered, dead. A claimed delivery is due again when its lease ends: who claimed it may have been killed.
create table if not exists {schema}.deliveries (
    id               uuid        not null,
    number           bigint      generated always as identity,
    subscription_id  uuid        not null,
    event_id         uuid        not null,
    event            varchar     not null,
    test             bool        not null,
    body             bytea       not null,
    state            varchar     not null default 'waiting',
    attempts         int         not null default 0,
    due_at           timestamptz not null,
    created_at       timestamptz not null,
    first_attempt_at timestamptz null,
    last_attempt_at  timestamptz null,
    last_status      int         null,
    last_answer      varchar     null,
    finished_at      timestamptz null,
    constraint pk_deliveries primary key (id),
    constraint deliveries_subscription foreign key (subscription_id) references {schema}.subscriptions (id) on delete cascade
);
create index if not exists deliveries_due on {schema}.deliveries (subscription_id, due_at) where state = 'waiting';
create index if not exists deliveries_by_number on {schema}.deliveries (subscription_id, number);
create index if not exists deliveries_finished on {schema}.deliveries (state, finished_at) where state <> 'waiting';

-- The trace in which the event came, of sampled traces alone.
alter table {schema}.deliveries add column if not exists traceparent varchar null;
