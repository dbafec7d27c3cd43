-- What data-driven models learned: one row for each such model that a generation judges by, from model_fitted. effects as in the event.
create table if not exists {schema}.fits (
    generation    int         not null,
    rules_version int         not null,
    position      bigint      not null,
    model_order   int         not null,
    converted     bigint      not null,
    not_converted bigint      not null,
    states        int         not null,
    effects       json        not null,
    fitted_at     timestamptz not null,
    constraint pk_fits primary key (generation, rules_version)
);

-- How far the fit in work of a generation is: conversions and clicks read, and how many there are.
create table if not exists {schema}.fit_runs (
    generation    int         not null,
    rules_version int         not null,
    started_at    timestamptz not null,
    read          bigint      not null,
    total         bigint      not null,
    constraint pk_fit_runs primary key (generation)
);
