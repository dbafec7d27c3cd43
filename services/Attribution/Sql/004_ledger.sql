-- The ledger and the statements, derived from credits_revised and statement_closed alone. Both can be dropped and rebuilt.

-- What one revision changed of one partner's part of one conversion; nothing here is ever changed. position is that of the revision in the
-- log; occurred_on is the day of the conversion in UTC, from which the holding period counts; period is the month whose statement has the
-- entry: the conversion's own while that was open, else the next that was. kind: credit, revision, adjustment.
create table if not exists {schema}.ledger (
    position         bigint          not null,
    partner_id       varchar         not null,
    conversion_id    uuid            not null,
    source           varchar         not null,
    order_id         varchar         not null,
    occurred_at      timestamptz     not null,
    occurred_on      date            not null,
    recorded_at      timestamptz     not null,
    period           varchar         not null,
    kind             varchar         not null,
    generation       int             not null,
    currency         varchar         not null,
    share            numeric(19, 18) not null,
    amount_minor     bigint          not null,
    commission_minor bigint          not null,
    constraint pk_ledger primary key (position, partner_id)
);
create index if not exists ledger_by_period on {schema}.ledger (period, position, partner_id);
create index if not exists ledger_by_partner on {schema}.ledger (partner_id, position);
create index if not exists ledger_by_conversion on {schema}.ledger (conversion_id);

-- Closed months, with their event. position is that of the event: revisions after it are in later statements.
create table if not exists {schema}.statements (
    period   varchar not null,
    position bigint  not null,
    closed   json    not null,
    constraint pk_statements primary key (period)
);
