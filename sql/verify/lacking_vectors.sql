-- (source, content, known) of contents that the pools of `covered_now` have and `vectors_now` (embedder, content_sha256)
-- lacks; `known` where a ledger says that the embedder gave none.
with never as (
    select distinct sample_id from store.ledger_row where reason = 'no_embedding'
)
select r.source, c.content_sha256, bool_or(n.sample_id is not null) as known
from store.pool_row r
join store.conversation c on c.sample_id = r.sample_id
join covered_now v on v.source = r.source and v.step = 'embedding'
left join never n on n.sample_id = r.sample_id
anti join vectors_now s
    on s.content_sha256 = c.content_sha256 and s.embedder = substr(v.fingerprint, 1, 8)
group by 1, 2
order by 1, 2;
