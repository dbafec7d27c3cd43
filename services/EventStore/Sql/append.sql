-- Set-based append; runs in the transaction that holds the log's lock, so what it sees of the log cannot change under it.
-- $1 ids, $2 stream ids, $3 stream types, $4 types, $5 dotnet types, $6 data; in the order of the append.
with asked as (
    select id, stream_id, stream_type, type, dotnet_type, data, ord
      from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
           with ordinality as a(id, stream_id, stream_type, type, dotnet_type, data, ord)
     where not exists (select from {schema}.mt_events e where e.id = a.id)
), fresh as (
    select *, row_number() over (partition by stream_id order by ord) as nth from asked
), streams as (
    insert into {schema}.mt_streams as s (id, type, version)
    select stream_id, max(stream_type), count(*) from fresh group by stream_id
    on conflict (id) do update set version = s.version + excluded.version, timestamp = now()
    returning s.id, s.version
), counts as (
    select stream_id, count(*) as added from fresh group by stream_id
)
insert into {schema}.mt_events (seq_id, id, stream_id, version, data, type, mt_dotnet_type)
select nextval('{schema}.mt_events_sequence'), o.id, o.stream_id, o.version, o.data::jsonb, o.type, o.dotnet_type
  from (select f.id, f.stream_id, s.version - c.added + f.nth as version, f.data, f.type, f.dotnet_type
          from fresh f join streams s on s.id = f.stream_id join counts c on c.stream_id = f.stream_id
         order by f.ord) o
