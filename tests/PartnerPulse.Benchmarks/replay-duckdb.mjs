// What-if in DuckDB, data in its own tables: node replay-duckdb.mjs CLICKS.csv ORDERS.csv ROUNDS
import { DuckDBInstance } from '@duckdb/node-api';

const [clicks, orders, rounds] = process.argv.slice(2);
const db = await (await DuckDBInstance.create(':memory:')).connect();
await db.run(`create table clicks as select * from read_csv('${clicks}', header = false, columns = {visitor: 'INTEGER', time: 'BIGINT', partner: 'INTEGER'})`);
await db.run(`create table orders as select * from read_csv('${orders}', header = false, columns = {number: 'INTEGER', visitor: 'INTEGER', time: 'BIGINT', amount: 'BIGINT'})`);

const day = 86400 * 1000000;
const sql = `
  with credited as materialized (
    select o.number, any_value(o.amount) as amount,
           arg_min(c.partner, c.time) as before,
           arg_max(c.partner, c.time) filter (where c.time >= o.time - ${30 * day}) as after
      from orders o join clicks c on c.visitor = o.visitor and c.time <= o.time and c.time >= o.time - ${60 * day}
     group by o.number
  )
  select partner, sum(ob)::varchar, sum(ab)::varchar, sum(cb)::varchar, sum(oa)::varchar, sum(aa)::varchar, sum(ca)::varchar from (
    select before as partner, count(*) as ob, sum(amount) as ab, sum((amount * 1000 + 5000) // 10000) as cb, 0 as oa, 0 as aa, 0 as ca
      from credited where before is not null group by 1
    union all
    select after, 0, 0, 0, count(*), sum(amount), sum((amount * 1000 + 5000) // 10000) from credited where after is not null group by 1
  ) group by 1`;

const seconds = [];
let rows = [];
for (let round = -1; round < Number(rounds); round++) { // The first warms up.
  const started = process.hrtime.bigint();
  rows = (await db.runAndReadAll(sql)).getRows();
  if (round >= 0) seconds.push(Number(process.hrtime.bigint() - started) / 1e9);
}
console.log(JSON.stringify({ seconds, rows: rows.map(row => row.map(String)) }));
