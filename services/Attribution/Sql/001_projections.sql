-- What Attribution derives from its log. Everything in here but intake_progress, set_aside, erasures and untold_revisions can be
-- dropped and rebuilt.

-- Per sender the intervals of its log that have been appended here: (from_position, to_position]. One interval from 0 means
-- that nothing is missing.
create table if not exists {schema}.intake_progress (
    origin        varchar not null,
    from_position bigint  not null,
    to_position   bigint  not null,
    constraint pk_intake_progress primary key (origin, from_position)
);

-- Events that could not be taken in or folded. They stop nothing else, and can be put back.
create table if not exists {schema}.set_aside (
    id          bigint generated always as identity,
    event_id    uuid        not null,
    stage       varchar     not null,
    type        varchar     not null,
    reason      varchar     not null,
    data        bytea       not null,
    stream_id   uuid        not null,
    set_aside_at timestamptz not null default now(),
    constraint pk_set_aside primary key (id),
    constraint set_aside_once unique (event_id, stage)
);

-- What a promotion or a rebuild changed and has not been told yet: one row a conversion, before and after as they stood in the
-- transaction that changed it. The projector tells them in order, a few thousand a commit, before it goes on.
create table if not exists {schema}.untold_revisions (
    id            bigint generated always as identity,
    cause_id      uuid        not null,
    program_id    varchar     not null,
    occurred_at   timestamptz not null,
    conversion_id uuid        not null,
    generation    int         not null,
    currency      varchar     not null,
    before        json        not null,
    after         json        not null,
    clicks        json        null,
    constraint pk_untold_revisions primary key (id)
);

-- Events of erased customers that may still come, or come again, with the key: they take the token. See Intake/Erasure.cs.
create table if not exists {schema}.erasures (
    event_id  uuid        not null,
    token     varchar     not null,
    origin    varchar     not null,
    position  bigint      not null,
    erased_at timestamptz not null,
    constraint pk_erasures primary key (event_id)
);

-- A rebuild reads everything but clicks, which are nearly everything.
create index if not exists pulse_mt_events_no_clicks on {schema}.mt_events (seq_id) where type <> 'click_recorded';

-- How to find the conversions that an event concerns. customer is derived from program and key (Ids.Customer); introduces says that
-- it is a lead or a signup; occurred_ticks are .NET ticks, which are finer than a timestamptz, and order as events do.
create table if not exists {schema}.conversions (
    conversion_id  uuid    not null,
    customer       uuid    null,
    click_id       uuid    null,
    visitor_stream uuid    null,
    coupon_stream  uuid    null,
    introduces     bool    not null,
    test           bool    not null,
    occurred_ticks bigint  not null,
    constraint pk_conversions primary key (conversion_id)
);
create index if not exists conversions_by_customer on {schema}.conversions (customer) where customer is not null;
create index if not exists conversions_introducing on {schema}.conversions (customer, test, occurred_ticks, conversion_id)
    where introduces and customer is not null;

-- What is tied to a customer, by its conversions and by identifications: visitors by their stream, clicks by their id.
create table if not exists {schema}.ties (
    customer   uuid    not null,
    is_click   bool    not null,
    key        uuid    not null,
    visitor_id varchar null,
    constraint pk_ties primary key (customer, is_click, key)
);

-- Whose own customers they are: a partner that buys itself. Derived as ties are.
create table if not exists {schema}.own_customers (
    customer   uuid    not null,
    partner_id varchar not null,
    constraint pk_own_customers primary key (customer, partner_id)
);

-- A click concerns the conversions that wait for its id or for the stream it is in; what happens to a coupon those that wait for its
-- stream.
create table if not exists {schema}.journey_keys (
    key           uuid not null,
    conversion_id uuid not null,
    constraint pk_journey_keys primary key (key, conversion_id)
);

-- The facts of one conversion, independent of the rules: touches apart, packed (Projection/PackedTouches.cs), everything else as JSON.
-- partners has everybody whose standing may matter to it. changed_at is the log position up to which they are known; every
-- generation tails this table by (changed_at, conversion_id).
create table if not exists {schema}.journeys (
    conversion_id uuid      not null,
    changed_at    bigint    not null,
    partners      varchar[] not null,
    facts         json      not null,
    touches       bytea     not null,
    constraint pk_journeys primary key (conversion_id)
);
create unique index if not exists journeys_by_change on {schema}.journeys (changed_at, conversion_id);

-- What was said of partners and when: that they are suspended or not, or which group they are in (null: none), never both.
create table if not exists {schema}.standings (
    event_id    uuid        not null,
    program_id  varchar     not null,
    partner_id  varchar     not null,
    occurred_at timestamptz not null,
    suspended   bool        null,
    group_name  varchar     null,
    constraint pk_standings primary key (event_id)
);

create table if not exists {schema}.rules (
    version      int         not null,
    hash         varchar     not null,
    name         varchar     not null,
    document     json        not null,
    published_at timestamptz not null,
    published_by varchar     null,
    constraint pk_rules primary key (version)
);

-- A generation is one judgement of all history, by rules_version where it applies, else by the first of under that does. state: running, ready, active, retired, discarded, failed.
create table if not exists {schema}.generations (
    generation        int         not null,
    replay_id         uuid        not null,
    rules_version     int         not null,
    under             int[]       not null,
    engine_version    varchar     not null,
    state             varchar     not null,
    reason            varchar     null,
    folded_to         bigint      not null default 0,
    folded_conversion uuid        not null default '00000000-0000-0000-0000-000000000000',
    target            bigint      not null default 0,
    done              bigint      not null default 0,
    total             bigint      not null default 0,
    requested_at      timestamptz not null,
    requested_by      varchar     null,
    constraint pk_generations primary key (generation),
    constraint generations_replay unique (replay_id)
);

-- What a list of conversions shows of each, whatever the rules: written with its journey, and small where journeys are large.
create table if not exists {schema}.orders (
    conversion_id  uuid        not null,
    source         varchar     not null,
    order_id       varchar     not null,
    occurred_at    timestamptz not null,
    currency       varchar     not null,
    original_minor bigint      not null,
    net_minor      bigint      not null,
    test           bool        not null,
    constraint pk_orders primary key (conversion_id)
);

-- What a generation has judged of a conversion is either here, with the reason why nobody is credited, or in credits, never in both.
-- net_minor is that of the journey that was judged: orders may be ahead of a generation that does not count.
create table if not exists {schema}.uncredited (
    generation    int     not null,
    conversion_id uuid    not null,
    net_minor     bigint  not null,
    reason        varchar not null,
    constraint pk_uncredited primary key (generation, conversion_id)
);

-- One row a credited touch, of the conversion or of the lead that it inherits from; click_id is zero where a coupon has it. share has 18 decimals and adds up to exactly 1 a conversion, amounts to its net; they are minor units.
create table if not exists {schema}.credits (
    generation       int             not null,
    conversion_id    uuid            not null,
    click_id         uuid            not null,
    partner_id       varchar         not null,
    link             varchar         null,
    campaign         varchar         null,
    share            numeric(19, 18) not null,
    amount_minor     bigint          not null,
    commission_minor bigint          not null,
    constraint pk_credits primary key (generation, conversion_id, click_id)
);
