-- Who may do what in the database of PartnerPulse. Run it in that database, as its owner or a superuser, as often as you like: it
-- makes what is missing and mends what is not so. `./pulse up` runs it at each start, 10-roles.sh when a container is made.
--
--   <database>_partners, _conversions, _attribution, _outbound    each owns the schema of its name, and may do nothing elsewhere
--   <database>_attribution_log                                    no login: reads the attribution log; Outbound is a member
--   <database>_standalone                                         for the process that carries all services
--
-- Roles belong to the whole server, so the name of the database is in theirs: two systems on one server do not meet. Passwords come by
-- settings of the session, pulse.<service>_password. A role whose setting is absent or empty keeps what it has; a new one cannot log in.
-- Where one role owned all tables, as before there were these, they are handed over to their services.

do $roles$
declare
    services constant text[] := array['partners', 'conversions', 'attribution', 'outbound'];
    base     constant text := current_database();
    log      constant text := base || '_attribution_log';
    service  text;
    owner    text;
    password text;
    item     record;
begin
    -- PostgreSQL cuts a longer name off, and two roles would be one.
    if octet_length(log) > 63 then
        raise exception 'the database % has a name of % bytes; with roles of its own it may have %', base, octet_length(base), 63 - octet_length('_attribution_log');
    end if;

    -- The lock under which services make their tables, so that none is made by its old owner meanwhile.
    perform pg_advisory_xact_lock(hashtextextended('pulse:schema', 0));

    -- By default everybody may connect, make temporary tables, and (before PostgreSQL 15) make tables in public.
    execute format('revoke all on database %I from public', base);
    revoke all on schema public from public;

    foreach service in array services || array['standalone', 'attribution_log'] loop
        owner := base || '_' || service;
        if not exists (select from pg_roles where rolname = owner) then
            execute format('create role %I %s', owner, case service when 'attribution_log' then 'nologin' else 'login' end);
        end if;

        -- Who hands a thing over has to be a member of who gets it; a superuser is one of everything.
        if not (select rolsuper from pg_roles where rolname = current_user) and not pg_has_role(current_user, owner, 'member') then
            execute format('grant %I to %I', owner, current_user);
        end if;

        password := nullif(current_setting(format('pulse.%s_password', service), true), '');
        if password is not null and service <> 'attribution_log' then
            execute format('alter role %I password %L', owner, password);
        end if;

        execute format('grant connect on database %I to %I', base, owner);
    end loop;

    -- A dry run of an import, and what a promotion changes, lie in temporary tables.
    execute format('grant temporary on database %I to %I, %I', base, base || '_conversions', base || '_attribution');

    foreach service in array services loop
        owner := base || '_' || service;
        if to_regnamespace(service) is null then
            execute format('create schema %I authorization %I', service, owner);
        elsif exists (select from pg_namespace where nspname = service and nspowner <> (select oid from pg_roles where rolname = owner)) then
            execute format('alter schema %I owner to %I', service, owner);
        end if;

        -- A sequence that belongs to a column goes with its table.
        for item in
            select c.relname, case c.relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'materialized view' else 'table' end as kind
              from pg_class c
             where c.relnamespace = to_regnamespace(service)
               and c.relkind in ('r', 'p', 'v', 'm', 'S')
               and c.relowner <> (select oid from pg_roles where rolname = owner)
               and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i')
                                                         and d.refclassid = 'pg_class'::regclass)
        loop
            execute format('alter %s %I.%I owner to %I', item.kind, service, item.relname, owner);
        end loop;

        if not pg_has_role(base || '_standalone', owner, 'member') then
            execute format('grant %I to %I', owner, base || '_standalone');
        end if;
    end loop;

    -- Attribution itself lets this role read its log, because it is the one that makes the table.
    execute format('grant usage on schema attribution to %I', log);
    if to_regclass('attribution.mt_events') is not null then
        execute format('grant select on attribution.mt_events to %I', log);
    end if;
    if to_regclass('attribution.traces') is not null then
        execute format('grant select on attribution.traces to %I', log);
    end if;
    if not pg_has_role(base || '_outbound', log, 'member') then
        execute format('grant %I to %I', log, base || '_outbound');
    end if;
end
$roles$;
