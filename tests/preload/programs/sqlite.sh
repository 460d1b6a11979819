# sqlite.sh - sqlite3 builds a database of 300,000 rows in a file, indexes, queries, changes, dumps and checks it.
. "$PRELOAD_DIR/lib.sh"

build() {
    sqlite3 db <<'END'
pragma journal_mode = wal;
create table item (id integer primary key, name text, part integer, price real, note text);
with recursive n (i) as (select 1 union all select i + 1 from n where i < 300000)
insert into item select i, 'item ' || (i * 7919 % 100003), i % 977, (i * 31 % 10007) / 7.0,
    case when i % 3 = 0 then printf('note %08d', i * 13) end from n;
create table part (id integer primary key, title text unique);
insert into part select distinct part, 'part ' || part from item;
create index by_name on item (name, price);
create index by_part on item (part) where note is not null;
analyze;
select count(*), sum(price), min(name), max(name) from item;
END
}

query() {
    sqlite3 -header -column db <<'END'
select title, count(*) as n, round(sum(price), 3) as total from item join part on part.id = item.part
    group by title order by total desc limit 50;
select name, price from item where name between 'item 500' and 'item 501' order by 1, 2;
select part, name, rank() over (partition by part order by price desc, id) as r from item where part < 3 order by 1, 3 limit 100;
select group_concat(distinct substr(note, -2)) from item where id < 3000;
select count(*) from item a join item b on a.id = b.id + 1 where a.price < b.price;
select json_group_array(json_object('id', id, 'name', name)) from item where id < 100;
END
}

change() {
    sqlite3 db <<'END'
begin;
update item set price = price * 1.25 where part % 5 = 0;
delete from item where id % 11 = 3;
insert into item (name, part, price) select 'copy of ' || name, part, price from item where id % 17 = 0;
savepoint s;
delete from item;
rollback to s;
commit;
vacuum;
select count(*), round(sum(price), 2), max(id) from item;
pragma integrity_check;
END
}

full_text() {
    sqlite3 :memory: <<'END'
create virtual table t using fts5 (body);
with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)
insert into t select 'word' || (i % 101) || ' word' || (i % 307) || ' text of row ' || i from n;
select count(*) from t where t match 'word7 AND word8*';
select rowid, snippet(t, 0, '[', ']', '...', 5) from t where t match 'word100 NEAR row' order by rank, rowid limit 20;
END
}

step "build" build
step "query" query
step "change" change
step "full text" full_text
step "dump" sh -c 'sqlite3 db .dump | sha256sum'
step "restore from a dump" sh -c 'sqlite3 db .dump | sqlite3 copy && sqlite3 copy "select count(*), round(sum(price), 2) from item; pragma integrity_check"'
step "comma-separated values there and back" sh -c 'sqlite3 -csv db "select * from item limit 50000" >item.csv && sqlite3 -csv :memory: "create table c (a, b, c, d, e)" ".import item.csv c" "select count(*), max(b) from c"'
step_fails 1 "an error" sh -c 'echo start; sqlite3 db "select * from nothing"'
