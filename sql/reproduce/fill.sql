-- Fills a fresh warehouse with what some pool versions were made of, out of the attached warehouse `present`.
-- pinned(source, pool_version, seq, licence, licence_known), base_now(sample_id), fingerprints_now(fingerprint).
create temp table takedown_now as select * from store.takedown;
insert into takedown_now by name select * from present.store.takedown;

insert into store.source by name
select s.* replace (case when p.licence_known then p.licence else s.licence end as licence)
from present.store.source s join pinned p on p.source = s.source;

insert into store.pool_version by name
select v.* from present.store.pool_version v join pinned p on p.source = v.source and p.seq = v.seq;

insert into store.occurrence by name
select o.* replace (null::bigint as to_seq)
from present.store.occurrence o join pinned p on p.source = o.source
where o.from_seq <= p.seq and (o.to_seq is null or o.to_seq > p.seq);

-- Rows of the pinned pools, by what stood in files and was not taken down.
create or replace table store.standing as
select distinct o.sample_id, o.source, p.pool_version
from store.occurrence o join pinned p on p.source = o.source
where not exists (
    from takedown_now t where t.sample_id = o.sample_id and coalesce(t.from_seq, 0) <= p.seq
);

insert into store.conversation by name
select c.* from present.store.conversation c
semi join (select sample_id from store.standing union select sample_id from base_now) w on w.sample_id = c.sample_id;

insert into store.turn by name
select t.* from present.store.turn t
semi join (select sample_id from store.standing union select sample_id from base_now) w on w.sample_id = t.sample_id;

insert into store.pool_row
select o.sample_id, o.source, o.own_id, o.uri, o.line, c.batch_id, s.pool_version
from (select *, row_number() over (partition by sample_id order by from_seq, uri, line) as nth from store.occurrence) o
join store.standing s on s.sample_id = o.sample_id
join store.conversation c on c.sample_id = o.sample_id
where o.nth = 1
order by o.sample_id;

-- What the view `pool` shows stands beside each conversation: as it was then, not as it is now.
update store.conversation as c
set in_pool = n.in_pool, own_id = n.own_id, uri = n.uri, line = n.line
from (
    select k.sample_id, r.sample_id is not null as in_pool, r.own_id, r.uri, r.line
    from store.conversation k
    left join store.pool_row r on r.sample_id = k.sample_id
) n
where n.sample_id = c.sample_id;

insert into store.fingerprint by name
select f.* from present.store.fingerprint f semi join fingerprints_now n on n.fingerprint = f.fingerprint;
