-- Erasures that were not handed on yet: the ids of ties go from them afterwards.
create table if not exists {schema}.erasures_to_scrub (
    event_id uuid not null,
    constraint pk_erasures_to_scrub primary key (event_id)
);
