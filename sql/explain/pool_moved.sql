-- (rows that came, rows that went) of $source from its ingest $seq_a to its ingest $seq_b.
with standing as (
    select
        o.sample_id,
        bool_or(o.from_seq <= $seq_a and (o.to_seq is null or o.to_seq > $seq_a))
            and not coalesce(any_value(t.sample_id) is not null and any_value(coalesce(t.from_seq, 0)) <= $seq_a, false)
            as in_a,
        bool_or(o.from_seq <= $seq_b and (o.to_seq is null or o.to_seq > $seq_b))
            and not coalesce(any_value(t.sample_id) is not null and any_value(coalesce(t.from_seq, 0)) <= $seq_b, false)
            as in_b
    from store.occurrence o
    left join store.takedown t on t.sample_id = o.sample_id
    where o.source = $source
    group by o.sample_id
)
select count(*) filter (where in_b and not in_a), count(*) filter (where in_a and not in_b) from standing;
