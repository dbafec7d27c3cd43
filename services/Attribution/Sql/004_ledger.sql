-- The ledger and the statements are derived from credits_revised and statement_closed alone, and can be dropped and rebuilt; the
-- reconciliations are not.

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

-- What partners claimed and what became of each line. Not derived, and never dropped; no customer is in there.
create table if not exists {schema}.reconciliations (
    id         uuid        not null,
    partner_id varchar     not null,
    created_at timestamptz not null,
    summary    json        not null,
    constraint pk_reconciliations primary key (id)
);
create table if not exists {schema}.reconciliation_lines (
    id      uuid    not null,
    number  int     not null,
    verdict varchar not null,
    line    json    not null,
    constraint pk_reconciliation_lines primary key (id, number)
);
